"""Extraction of a user's folder: names in any form, and every file either in the store or listed with a reason."""

from __future__ import annotations

import csv
import hashlib
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from avparse.app import extracting
from avparse.data.scores import ScoreTable, TeacherInfo, load_scores
from avparse.data.store import FeatureStore
from avparse.data.store.contents import Contents
from avparse.data.store.format import write_manifest
from avparse.foundation.errors import UserError
from tests.clips import tone, write_clip
from tests.conftest import Command

NARROW = "Screen Recording 2026-01-01 at 3.04.05\u202fPM"
ACCENT = "Übung_café"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with sounds of 2.5 seconds: plain, nested, with another blank, and in the form of a Mac."""
    videos = tmp_path / "v"
    (videos / "nested").mkdir(parents=True)
    first = write_clip(videos / "plain.wav", sound=tone(), seconds=2.5)
    for name in ("nested/deep.wav", f"{NARROW}.wav", f"{unicodedata.normalize('NFD', ACCENT)}.wav"):
        shutil.copy(first, videos / name)
    (tmp_path / "classes.txt").write_text(f"Dog\n{unicodedata.normalize('NFD', 'Geräusch')}\n")
    return videos


def extract(command: Command, folder: Path, labels: str, *options: str | Path) -> tuple[int, str, str]:
    (folder.parent / "labels.csv").write_text(labels)
    tables = ("--labels", folder.parent / "labels.csv", "--classes", folder.parent / "classes.txt")
    return command("extract", folder, *tables, "-o", folder.parent / "store", "--workers", "0", *options)


def skipped(folder: Path) -> dict[str, str]:
    with open(folder.parent / "store" / "skipped.csv", newline="", encoding="utf-8") as file:
        return {Path(row["input"]).name: row["kind"] for row in csv.DictReader(file)}


ALL = f"video,labels,split\nplain.wav,Dog,train\ndeep,Geräusch,train\n{NARROW},Dog,val\n{ACCENT},,test\n"


def test_names_are_found_in_any_form_and_the_rest_is_listed(folder: Path, command: Command) -> None:
    for name in ("plain.jpg", "plain.info.json", "other.wav"):
        (folder / name).write_bytes(b"x")
    assert extract(command, folder, ALL + "lost,Dog,train\n")[0] == 0
    store = FeatureStore.open(folder.parent / "store")
    assert store.videos == ["plain", "deep", NARROW, ACCENT]
    assert store.vocabulary.names == ("Dog", "Geräusch")
    listed = {"plain.jpg": "sidecar", "plain.info.json": "sidecar", "other.wav": "unlabelled", "lost": "no file"}
    assert skipped(folder) == listed
    assert extract(command, folder, ALL)[0] == 0
    assert FeatureStore.open(folder.parent / "store").videos == store.videos


def test_what_failed_is_not_decoded_again_unless_asked(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.mp4").write_bytes(b"no video")
    labels = ALL + "bad,Dog,train\n"
    assert extract(command, folder, labels)[0] == 3
    tried: list[str] = []
    original = extracting.extract_videos

    def counted(paths: list[Path], *arguments: object, **named: object) -> object:
        given = list(paths)
        tried.extend(path.name for path in given)
        return original(given, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(extracting, "extract_videos", counted)
    code, _, err = extract(command, folder, labels)
    assert (code, tried, "skipped " in err and "bad.mp4" in err) == (3, [], True)
    assert extract(command, folder, labels, "--retry-failed")[0] == 3
    assert tried == ["bad.mp4"]
    shutil.copy(folder / "plain.wav", folder / "bad.mp4")
    assert extract(command, folder, labels)[0] == 0
    assert not (folder.parent / "store" / "skipped.csv").exists()


def test_names_that_clash_or_match_nothing_are_refused(folder: Path, command: Command) -> None:
    shutil.copy(folder / "plain.wav", folder / "nested" / "plain.mp4")
    code, _, err = extract(command, folder, ALL)
    assert code == 2
    assert f"'plain.wav' and '{Path('nested') / 'plain.mp4'}' are both video 'plain'; keep one" in err
    code, _, err = extract(command, folder, "video,labels,split\ndeeep,Dog,train\n")
    assert code == 2
    assert "holds none of the 1 labelled videos (such as 'deeep'; did you mean 'deep'?)" in err
    assert not (folder.parent / "store").exists()


def test_events_outside_their_video_leave_it_out_with_the_line(folder: Path, command: Command) -> None:
    events = folder.parent / "events.csv"
    events.write_text(
        "video,class,modality,onset,offset,score\nplain.wav,Dog,audio,0,3,0.9\ndeep,Dog,audio,500,1500,1\n"
    )
    code, _, err = extract(command, folder, ALL, "--events", events)
    assert code == 3
    assert f"{events}:3: 500 s to 1500 s lies outside the 2.5 s of the video; are these milliseconds?" in err
    assert FeatureStore.open(folder.parent / "store").videos == ["plain", NARROW, ACCENT]
    events.write_text("video,class,modality,onset,offset\nplain.wav,Dog,audio,0,3\ndeep,Dog,audio,0.5,1.5\n")
    assert extract(command, folder, ALL, "--events", events)[0] == 0  # the file is as it was, the table is not
    assert "deep" in FeatureStore.open(folder.parent / "store").videos
    events.write_text("video,class,modality,onset,offset\nplains,Dog,audio,0,3\n")
    code, _, err = extract(command, folder, ALL, "--events", events)
    assert code == 2
    assert "1 of its 1 videos have no row in" in err
    assert "(such as 'plains'; did you mean 'plain'?)" in err


def test_a_split_is_drawn_once_where_none_is_given(
    folder: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(8):
        shutil.copy(folder / "plain.wav", folder / f"w{number}.wav")
    rows = [f"w{number},Dog" for number in range(8)]
    assert extract(command, folder, "\n".join(["video,labels", *rows[:5]]))[0] == 0
    assert caplog.text.count("no split is given, so one was drawn: ") == 1
    first = FeatureStore.open(folder.parent / "store")
    assert set(first.splits) == {"train", "val", "test"}
    assert extract(command, folder, "\n".join(["video,labels", *rows]))[0] == 0
    assert list(FeatureStore.open(folder.parent / "store").splits)[:5] == list(first.splits)


def test_the_last_segment_may_be_partial(folder: Path, command: Command) -> None:
    """An event that covers what the last segment has of the video is in it, also after a relabelling."""
    (folder.parent / "events.csv").write_text(
        "video,class,modality,onset,offset\nplain,Dog,audio,0,2.5\ndeep,Dog,audio,2.3,2.5\n"
    )
    events = ("--events", folder.parent / "events.csv")
    assert extract(command, folder, ALL, *events)[0] == 0
    store = FeatureStore.open(folder.parent / "store")
    assert store.dense_truth(np.array([0, 1]))[0][..., 0].tolist() == [[True, True, True], [False, False, False]]
    (folder.parent / "events.csv").write_text("video,class,modality,onset,offset\nplain,Dog,audio,2.2,2.5\n")
    tables = ("--labels", folder.parent / "labels.csv", "--classes", folder.parent / "classes.txt")
    assert command("data", "relabel", folder.parent / "store", *tables, *events)[0] == 0
    store = FeatureStore.open(folder.parent / "store")
    assert store.dense_truth(np.array([0]))[0][0, :, 0].tolist() == [False, False, True]


def test_what_a_file_may_cost_is_an_option(folder: Path, command: Command) -> None:
    code, _, err = extract(command, folder, ALL, "--limit", "max_segments=2")
    assert code == 2
    assert "more than 2 segments; cut it, or raise 'max_segments'" in err
    assert extract(command, folder, ALL, "--limit", "max_segments=3", "--limit", "busy_seconds=99")[0] == 0
    for wrong, told in (("max_segment=3", "did you mean 'max_segments'"), ("max_segments", "NAME=VALUE")):
        code, _, err = extract(command, folder, ALL, "--limit", wrong)
        assert code == 2
        assert told in err
    assert extract(command, folder, ALL, "--limit", "max_segments=-3")[0] == 2


def test_features_that_are_no_numbers_are_refused(tiny_run: Path, tmp_path: Path, command: Command) -> None:
    """A store whose checksums are right although its features are not: made by a program with a fault."""
    store = tmp_path / "store"
    shutil.copytree(tiny_run.parent / "store", store)
    manifest = Contents.read(store).manifest
    values = np.load(store / "audio.npy")
    values[0, 0] = np.nan
    column = manifest.columns()["audio.npy"]
    with open(store / "audio.npy", "r+b") as file:
        file.seek(column.end(0))
        file.write(values.tobytes())
    (block,) = manifest.blocks
    sums = {**block.sha256, "audio.npy": hashlib.sha256(values.tobytes()).hexdigest()}
    blocks = (block.model_copy(update={"sha256": sums}),)
    write_manifest(store, manifest.model_copy(update={"blocks": blocks}))
    for arguments in (
        ("evaluate", "--run", tiny_run, "--data", store, "--split", "val"),
        ("train", "han", "--data", store, "-o", tmp_path / "run"),
        ("data", "info", store),
    ):
        code, _, err = command(*arguments)
        assert code == 2, arguments
        assert "NaN or infinity" in err


def test_drawn_splits_stay_when_labels_change(folder: Path, command: Command) -> None:
    """A table without splits draws them by its classes; mended labels must not move a video to another split."""
    for number in range(8):
        shutil.copy(folder / "plain.wav", folder / f"v{number}.wav")
    names = [f"v{number}" for number in range(8)]
    assert extract(command, folder, "video,labels\n" + "".join(f"{name},Dog\n" for name in names))[0] == 0
    store = folder.parent / "store"
    before = FeatureStore.open(store).splits.tolist()
    assert len(set(before)) == 3
    held = next(name for name, split in zip(names, before, strict=True) if split != "train")
    rows = "video,labels\n" + "".join(f"{name},{'Geräusch' if name == held else 'Dog'}\n" for name in names)
    (folder.parent / "labels.csv").write_text(
        rows
    )  # the only video of its class, which a new draw would put into train
    tables = ("--labels", folder.parent / "labels.csv", "--classes", folder.parent / "classes.txt")
    code, out, _ = command("data", "relabel", store, *tables)
    assert code == 0
    assert "1 of 8 videos have other labels" in out
    assert "another split" not in out
    assert FeatureStore.open(store).splits.tolist() == before
    assert extract(command, folder, rows)[0] == 0
    assert FeatureStore.open(store).splits.tolist() == before


def test_scores_of_a_teacher_belong_to_the_files_that_it_saw(folder: Path, command: Command) -> None:
    assert extract(command, folder, ALL)[0] == 0
    path = folder.parent / "store"
    store = FeatureStore.open(path)
    info = TeacherInfo(
        teacher="own", modality="audio", checkpoint="", segment_seconds=1.0, classes=store.vocabulary.names
    )
    logits = np.zeros((int(store.lengths.sum()), len(store.vocabulary)), np.float32)
    ScoreTable(info, tuple(store.videos), store.lengths, logits).save(store)
    assert load_scores(store, "own", "audio").videos == tuple(store.videos)
    assert extract(command, folder, "".join(ALL.splitlines(keepends=True)[:-1]))[0] == 0  # one video is left out
    assert load_scores(FeatureStore.open(path), "own", "audio").videos == tuple(store.videos)
    write_clip(folder / "plain.wav", sound=tone(880.0), seconds=2.5)
    assert extract(command, folder, ALL)[0] == 0
    with pytest.raises(UserError, match=r"own\.audio.*'plain' was extracted anew since; ask the teacher again"):
        load_scores(FeatureStore.open(path), "own", "audio")
