"""Parsing by examples, and the check of examples, as commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import avparse
from avparse.foundation.errors import UserError
from tests.clips import write_clip
from tests.conftest import Command
from tests.examples_folder import COLOUR, PITCH, make_examples, picture, sound

LIGHT = ("--with", "light", "--workers", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_examples(tmp_path_factory.mktemp("made") / "examples")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the examples, to change."""
    return Path(shutil.copytree(made, tmp_path / "examples"))


def two_seconds(path: Path) -> Path:
    """First low, then high; first blue, then red: what is heard is not what is seen."""
    import numpy as np

    def heard(t: np.ndarray) -> np.ndarray:
        return 0.3 * np.sin(2 * np.pi * np.where(t < 1, PITCH["Low"], PITCH["High"]) * t)

    def seen(t: float) -> np.ndarray:
        noise = np.random.default_rng(0).integers(-20, 20, (48, 64, 3))
        return np.clip(np.array(COLOUR["High" if t < 1 else "Low"]) + noise, 0, 255).astype(np.uint8)

    return write_clip(path, sound=heard, picture=seen, seconds=2.0, sample_rate=16000)


def test_a_video_is_parsed_by_some_sounds_and_pictures(made: Path, tmp_path: Path, command: Command) -> None:
    clip, out = two_seconds(tmp_path / "clip.mp4"), tmp_path / "out"
    code, told, err = command("parse", clip, "--examples", made, *LIGHT, "-o", out)
    assert code == 0, err
    assert "examples, on features of 'light'" in told
    assert "cannot judge" not in told
    events = json.loads((out / "clip.json").read_text())["events"]
    found = {(e["class"], e["modality"], e["onset"], e["offset"]) for e in events}
    assert found == {("Low", "audio", 0, 1), ("High", "audio", 1, 2), ("High", "visual", 0, 1), ("Low", "visual", 1, 2)}
    assert (out / "report.html").is_file()
    kept = sorted((out / ".examples").iterdir())
    assert len(kept) == 18
    before = [file.stat().st_mtime_ns for file in kept]
    assert command("parse", clip, "--examples", made, *LIGHT, "-o", out)[0] == 0
    assert [file.stat().st_mtime_ns for file in kept] == before
    timeline = avparse.parse(clip, examples=made, networks="light", workers=0, progress=None)
    assert {(e.class_name, e.modality, e.onset, e.offset) for e in timeline.events} == found


def test_examples_bring_their_own_classes(made: Path, tmp_path: Path, command: Command) -> None:
    clip = picture(tmp_path / "shown.png", "High", 8)
    code, _, err = command("parse", clip, "--examples", made, "--classes", "Dog", "-o", tmp_path / "out")
    assert code == 2
    assert f"--examples {made}: brings its own classes; leave out --run, --classes" in err
    with pytest.raises(UserError, match="brings its own classes"):
        avparse.parse(clip, "run", examples=made)


def test_a_picture_is_parsed_too(made: Path, tmp_path: Path, command: Command) -> None:
    shown = picture(tmp_path / "shown.png", "High", 8)
    code, _, err = command("parse", shown, "--examples", made, *LIGHT, "-o", tmp_path / "out")
    assert code == 0, err
    (event,) = json.loads((tmp_path / "out" / "shown.json").read_text())["events"]
    assert (event["class"], event["modality"]) == ("High", "visual")


def test_a_modality_without_examples_is_not_judged(folder: Path, tmp_path: Path, command: Command) -> None:
    for file in folder.glob("High/*.png"):
        file.unlink()
    clip, out = two_seconds(tmp_path / "clip.mp4"), tmp_path / "out"
    code, told, err = command("parse", clip, "--examples", folder, *LIGHT, "-o", out)
    assert code == 0, err
    assert "seen: examples, on features of 'light' (cannot judge High)" in told
    events = json.loads((out / "clip.json").read_text())["events"]
    assert not [e for e in events if e["class"] == "High" and e["modality"] == "visual"]


def test_the_check_tells_confusion_and_mislabelled_files_and_changes_nothing(folder: Path, command: Command) -> None:
    sound(folder / "Low" / "wrong.wav", "High", 7)
    (folder / "Rare").mkdir()
    sound(folder / "Rare" / "one.wav", "_none", 9)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code, told, err = command("examples", "check", folder, *LIGHT)
    assert code == 0, err
    odd = next(line for line in told.splitlines() if "it looks like" in line)
    assert "wrong.wav: heard, it looks like High" in odd
    assert "not judged, under two files: Rare" in told
    assert "Rare (1)" in told
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_good_examples_have_nothing_odd(made: Path, command: Command) -> None:
    code, told, _ = command("examples", "check", made, *LIGHT)
    assert code == 0
    assert "no file looks mislabelled" in told
    rows = {tuple(line.split()[:3]) for line in told.splitlines()}
    assert {("High", "3", "3"), ("Low", "3", "3")} <= rows


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("gone", "no such folder of examples"),
        ("empty", "holds no folder of a class"),
        ("only none", "holds only '_none'"),
        ("empty class", "holds no sound, picture or clip"),
        ("one file", "holds one example"),
        ("one class", "all files are of class 'Low'"),
        ("bad picture", "no picture; use PNG"),
        ("broken video", "bad.mp4"),
        ("class and none", "which cannot both hold"),
    ],
)
def test_bad_examples_are_one_line(change: str, told: str, folder: Path, tmp_path: Path, command: Command) -> None:
    for kind in PITCH:
        for number in (1, 2):
            (folder / kind / f"{number}.png").unlink()
    if change in ("gone", "empty", "only none"):
        for kind in ("Low", "High", *(() if change == "only none" else ("_none",))):
            shutil.rmtree(folder / kind)
    if change == "gone":
        folder.rmdir()
    elif change == "empty class":
        (folder / "Empty").mkdir()
    elif change == "one file":
        (folder / "One").mkdir()
        sound(folder / "One" / "a.wav", "_none", 11)
    elif change == "one class":
        shutil.rmtree(folder / "High")
        shutil.rmtree(folder / "_none")
    elif change == "bad picture":
        (folder / "Low" / "0.png").write_text("no picture")
    elif change == "broken video":
        (folder / "Low" / "bad.mp4").write_bytes(b"\0" * 100)
    elif change == "class and none":
        shutil.copy(folder / "Low" / "0.wav", folder / "_none" / "again.wav")
    clip = sound(tmp_path / "clip.wav", "Low")
    code, out, err = command("parse", clip, "--examples", folder, *LIGHT, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert told in err
    assert len([line for line in err.splitlines() if line.startswith("avparse: error")]) == 1


def test_unknown_extractors_and_contradictions_are_one_line(made: Path, tmp_path: Path, command: Command) -> None:
    clip = sound(tmp_path / "clip.wav", "Low")
    code, _, err = command("parse", clip, "--examples", made, "--with", "lihgt", "-o", tmp_path / "out")
    assert code == 2
    assert "did you mean 'light'?" in err
    code, _, err = command("parse", clip, "--examples", made, "--run", tmp_path, "-o", tmp_path / "out")
    assert code == 2
    assert "--examples" in err


def test_one_file_in_two_classes_is_told_and_counts_for_both(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from avparse.data.examples import read_examples

    shutil.copy(folder / "Low" / "0.wav", folder / "High" / "same.wav")
    shutil.copy(folder / "Low" / "1.wav", folder / "Low" / "copy.wav")
    picture(folder / "loose.png", "Low")
    examples = read_examples(folder)
    assert len(examples.files) == 18
    assert examples.labels.sum(axis=0).tolist() == [7, 6]
    both = "the same file is in 'High' and 'Low'; it counts as an example of both"
    assert [both in note or "counts once" in note or "left out (loose.png)" in note for note in examples.notes] == [
        *(True, True, True)
    ]


def test_the_best_extractor_at_hand_is_taken_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from avparse.app.examples import best_extractor

    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path))
    assert best_extractor() == "light"
    assert "avparse weights fetch efficientnet-lite0" in caplog.text
