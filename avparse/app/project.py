"""A project of a user's own: a folder with the tables to fill, folders for the files, and the commands in order."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from avparse.app.class_list import read_classes
from avparse.data.examples.folder import NONE
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text, writing

_GUIDE = """\
# Which events are heard, and which are seen

Go through the steps in order, with this folder as the current one. Every command may be repeated; it goes on where it
stopped. What each step is for: docs/howto/weak_labels_tutorial.md of avparse.

## 1. Fill the folder

| what | how |
|---|---|
| videos/ | your videos and sounds, any length; a file is called by its name without ending |
| classes.txt | the classes, one a line |
| labels.csv | a row for each video, such as `park1.mp4,Dog|Speech,train` (split: train, val or test) |
| events.csv | if you marked times in the videos of split val: `park1.mp4,Dog,audio,0,3.5`; else leave it as it is |
| examples/CLASS/ | three to ten sounds, pictures or clips of each class |
| examples/_none/ | some in which no class is |

## 2. Are the examples good?

```
avparse examples check examples
```

## 3. Timelines from the examples alone

```
avparse parse videos --examples examples -o timelines/examples
```

## 4. Features of the labelled videos, and what the examples say of them

```
avparse extract videos --labels labels.csv --classes classes.txt --events events.csv -o store
avparse teach store --teacher examples --set folder=examples
```

## 5. Which weak labels are wrong?

```
avparse denoise store -o labels.parquet --per-class
```

## 6. Train on the rest

```
avparse train examples --data store --labels labels.parquet -o runs/mine
avparse parse videos --run runs/mine -o timelines/mine
```

## 7. What each step has gained, if you marked times

```
avparse pseudo-labels examples --data store --split val
avparse evaluate --run runs/mine --data store --split val
```
"""
_TABLES = {"labels.csv": "video,labels,split\n", "events.csv": "video,class,modality,onset,offset\n"}


def make_project(folder: Path, classes: str | Path | Sequence[str]) -> str:
    """Write a project, without replacing anything; return what was written and what to do next.

    Args:
        folder: path of the project, which may exist; what is missing in it is added.
        classes: classes as :func:`avparse.app.class_list.read_classes` takes them, where ``classes.txt`` is missing.

    Raises:
        UserError: a class has an unusable name, something else stands where a folder should, or the disk refuses.
    """
    listed = folder / "classes.txt"
    names = read_classes(listed if listed.is_file() else classes)
    for name in names:
        if "/" in name or "\\" in name or name.startswith((".", "_")):
            raise UserError(f"--classes: '{name}' cannot be the name of a folder of examples; rename the class")
    files = {"README.md": _GUIDE, "classes.txt": "".join(f"{name}\n" for name in names), **_TABLES}
    places = [folder, folder / "videos", *(folder / "examples" / name for name in (*names, NONE))]
    for place in places:
        if place.exists() and not place.is_dir():
            raise UserError(f"{place}: is a file, where a folder should be; choose another folder for the project")
    kept = [name for name in files if (folder / name).exists()]
    with writing(folder):
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if name not in kept:
            write_text(folder / name, text)
    told = [f"{folder}: {', '.join(name for name in files if name not in kept) or 'nothing'} written"]
    told += [f"{folder}: {', '.join(kept)} kept as found"] if kept else []
    told.append(f"put files into {folder / 'examples'} and {folder / 'videos'}, as {folder / 'README.md'} says; then:")
    return "\n".join([*told, f"cd {shlex.quote(str(folder))} && avparse examples check examples"])
