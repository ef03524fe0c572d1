"""'avparse init', and the tutorial whose commands it writes, run in order on small synthesised videos."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from avparse.media.synthesis.render import Scene, render_video
from tests.conftest import Command
from tests.docs.pages import DOCS, commands

CLASSES = ("Dog", "Speech")
TUTORIAL = DOCS / "howto" / "weak_labels_tutorial.md"


def test_a_project_is_written_and_nothing_is_replaced(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "labels.csv").write_text("mine\n")
    code, told, err = command("init", folder, "--classes", "Dog, Speech")
    assert code == 0, err
    assert "labels.csv kept as found" in told
    assert told.splitlines()[-1] == f"cd '{folder}' && avparse examples check examples"
    assert (folder / "labels.csv").read_text() == "mine\n"
    assert (folder / "classes.txt").read_text() == "Dog\nSpeech\n"
    assert sorted(place.name for place in (folder / "examples").iterdir()) == ["Dog", "Speech", "_none"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    code, told, _ = command("init", folder)
    assert (code, "nothing written" in told) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("classes", "told"),
    [("", "no class is named"), ("Dog,Dog", "named twice"), ("a/b,c", "cannot be the name of a folder")],
)
def test_a_project_without_usable_classes_is_refused(classes: str, told: str, tmp_path: Path, command: Command) -> None:
    code, out, err = command("init", tmp_path / "project", "--classes", classes)
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "project").exists()


def test_a_project_in_place_of_a_file_is_refused(tmp_path: Path, command: Command) -> None:
    (tmp_path / "project").touch()
    code, _, err = command("init", tmp_path / "project")
    assert code == 2
    assert "is a file, where a folder should be" in err


def test_the_project_has_the_commands_of_the_tutorial(tmp_path: Path, command: Command) -> None:
    assert command("init", tmp_path / "project")[0] == 0
    assert commands(TUTORIAL)[1:] == commands(tmp_path / "project" / "README.md")


def _clip(path: Path, heard: list[list[int]], seen: list[list[int]], seed: int) -> None:
    render_video(path, Scene(CLASSES, np.array(heard, dtype=bool), np.array(seen, dtype=bool)), seed)


def _fill(project: Path) -> None:
    """Put three clips of each class and of none among the examples, and eight labelled videos of three seconds."""
    for number in range(3):
        for name, on in (("Dog", [1, 0]), ("Speech", [0, 1]), ("_none", [0, 0])):
            _clip(project / "examples" / name / f"{number}.mp4", [on, on], [on, on], 10 * number + len(name))
    labels, marked = ["video,labels,split"], ["video,class,modality,onset,offset"]
    for number in range(8):
        name, column = CLASSES[number % 2], number % 2
        on = np.eye(2, dtype=int)[column]
        _clip(project / "videos" / f"v{number}.mp4", [on, on, 0 * on], [0 * on, on, on], 100 + number)
        labels.append(f"v{number},{name},{'train' if number < 5 else 'val'}")
        if number >= 5:
            marked += [f"v{number},{name},audio,0,2", f"v{number},{name},visual,1,3"]
    (project / "labels.csv").write_text("\n".join(labels) + "\n")
    (project / "events.csv").write_text("\n".join(marked) + "\n")


QUICK = ["--set", "training.epochs=1", "--device", "cpu"]
FEW = [
    part for name in ("updates=2", "epochs=1", "finetune_epochs=1", "folds=2") for part in ("--set", f"denoiser.{name}")
]


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page in order; 'denoise' and 'train' with fewer epochs, updates and folds."""
    monkeypatch.chdir(tmp_path)
    first, *others = commands(TUTORIAL)
    assert command(*shlex.split(first)[1:])[0] == 0
    _fill(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    told = {}
    for line in others:
        words = shlex.split(line)[1:]
        extra = {
            "parse": ["--workers", "0"],
            "extract": ["--workers", "0"],
            "train": QUICK,
            "denoise": QUICK + FEW,
        }
        code, out, err = command(*words, *extra.get(words[0], []))
        assert code == 0, f"{line}: {err}"
        told[words[0]] = out
    assert Path("timelines/examples/report.html").is_file()
    assert Path("timelines/mine/v7.json").is_file()
    assert "Pseudo labels" in told["pseudo-labels"]
    assert "weak label" in told["evaluate"].lower()
