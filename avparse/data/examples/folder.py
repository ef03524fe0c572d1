"""A folder of examples: for each class a folder of some sounds, pictures or clips of it.

Layout, the folder of no class being optional::

    FOLDER/Dog/*        files in which a dog is heard, seen, or both
    FOLDER/Speech/*
    FOLDER/_none/*      files in which no class is
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.data.vocabulary import Vocabulary, composed
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.media.files import files_in

NONE = "_none"  # name of the folder with files of no class
_FEW = 3  # files a class; with fewer, a head is hardly better than a guess
_NAMED = 3  # files that a message names


@dataclass(frozen=True, eq=False)
class ExampleFolder:
    """The files of a folder of examples, each content once.

    Attributes:
        path: path of the folder.
        classes: names of the C classes, in the order of their names.
        files: paths of the F files.
        labels: ``[F, C]`` the classes of each file; a file of no class has none.
        notes: irregularities that were met, one line each.
    """

    path: Path
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: BoolArray
    notes: tuple[str, ...] = ()

    def require_enough(self) -> None:
        """Check that heads can be fitted and judged on other files than those that they were fitted on.

        Raises:
            UserError: a class has a single file, or nothing is there that is not of the only class.
        """
        for name, count in zip(self.classes, self.labels.sum(axis=0), strict=True):
            if count < 2:
                raise UserError(
                    f"{self.path / name}: holds one example, and a head needs two at least; add some, five are a start"
                )
        if self.labels.all():
            raise UserError(
                f"{self.path}: all files are of class '{self.classes[0]}'; add a folder of another class, or "
                f"'{NONE}' with files in which it is not"
            )

    def few(self) -> dict[str, int]:
        """Return the number of files of each class that has few."""
        counts = zip(self.classes, self.labels.sum(axis=0).tolist(), strict=True)
        return {name: count for name, count in counts if count < _FEW}


def read_examples(path: str | Path) -> ExampleFolder:
    """Find the files of a folder of examples.

    Equal contents count as one file, so that a file is never used to judge its copy; of a file in the folders of
    several classes, all of these classes hold.

    Raises:
        UserError: there is no such folder, it holds no folder of a class, one of them is empty or has an unusable name,
            or a file is of a class and of none.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of examples; make one that holds a folder for each class")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    classes = tuple(name for name in names if name != NONE)
    if not classes:
        found = f"holds only '{NONE}'" if names else "holds no folder of a class"
        raise UserError(f"{folder}: {found}; put the files of a class into a folder of its name, such as {folder}/Dog")
    try:
        Vocabulary(classes)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    owners: dict[str, dict[str, Path]] = {}  # content -> folder -> file
    notes = _loose(folder)
    for name in names:
        files = files_in(folder / name, stills=True)
        if not files:
            raise UserError(f"{folder / name}: holds no sound, picture or clip; add some, or remove the folder")
        for file in files:
            first = owners.setdefault(sha256_of(file), {}).setdefault(name, file)
            if first != file:
                notes.append(f"{first} and {file.name} are the same file, which counts once")
    for places in owners.values():
        if len(places) > 1:
            notes.append(_shared(places))
    labels = np.array([[name in places for name in classes] for places in owners.values()])
    files_once = tuple(next(iter(places.values())) for places in owners.values())
    return ExampleFolder(folder, tuple(map(composed, classes)), files_once, labels, tuple(notes))


def _loose(folder: Path) -> list[str]:
    """Return a note about files that lie beside the folders of the classes."""
    loose = [file.name for file in files_in(folder, stills=True) if file.parent == folder]
    if not loose:
        return []
    named = f"{', '.join(loose[:_NAMED])}{', ...' if len(loose) > _NAMED else ''}"
    return [f"{folder}: {len(loose)} files are in no folder of a class and are left out ({named})"]


def _shared(places: dict[str, Path]) -> str:
    """Return a note about one file in several folders.

    Raises:
        UserError: one of them is the folder of no class.
    """
    file, name = next(iter(places.values())), " and ".join(f"'{place}'" for place in places)
    if NONE in places:
        raise UserError(f"{file}: the same file is in {name}, which cannot both hold; remove one")
    return f"{file}: the same file is in {name}; it counts as an example of both"
