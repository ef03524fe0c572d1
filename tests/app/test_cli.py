"""The command line from end to end on real encoded videos."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from avparse.app import cli, parsing
from avparse.app.extracting import read_labels
from avparse.data.store import FeatureStore
from avparse.data.timeline import Timeline
from avparse.foundation.errors import UserError
from avparse.media.pipeline import Extracted, Failed, extract_videos
from avparse.training.run import Run
from tests.conftest import Command
from tests.toy import toy_store

ACCELERATORS = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}


def _refused(result: tuple[int, str, str], message: str) -> None:
    code, _, err = result
    assert code == 2
    last = err.rstrip("\n").splitlines()[-1]
    assert last.startswith("avparse: error: ")
    assert message in last, last
    assert "Traceback" not in err


def _avparse(*arguments: str | Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["avparse", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert not stop.value.code


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small corpus, its features and a briefly trained run."""
    folder = tmp_path_factory.mktemp("work")
    _avparse("synth", folder / "corpus", "--videos", "24", "--seed", "3", "--workers", "1")
    _avparse(
        "extract", folder / "corpus/videos", "--labels", folder / "corpus", "-o", folder / "store", "--workers", "1"
    )
    few = ["--set", "training.epochs=3", "--set", "denoiser=null"]
    _avparse("train", "demo", "--data", folder / "store", "-o", folder / "run", "--device", "cpu", *few)
    return folder


def test_the_store_holds_every_video_with_its_truth(work: Path, command: Command) -> None:
    store = FeatureStore.open(work / "store")
    labels = read_labels(work / "corpus")
    assert set(store.videos) == set(labels.videos)
    assert set(store.splits) == {"train", "val", "test"}
    assert store.annotated.all()
    for position, video in enumerate(store.videos):
        assert store.splits[position] == labels.videos[video].split
        assert (store.weak[position] == labels.videos[video].weak).all()
        first, length = store.first_row[position], int(store.lengths[position])
        assert length == 10
        expected = labels.dense(video, "visual", length, 1.0)
        assert expected is not None
        assert (store.truth("visual")[first : first + length] == expected).all()
    code, out, _ = command("data", "info", work / "store")
    assert code == 0
    assert "checksums   ok" in out


def test_parse_writes_timelines_events_and_report(work: Path, tmp_path: Path, command: Command) -> None:
    videos = sorted((work / "corpus/videos").glob("*.mp4"))[:2]
    twin = tmp_path / "twin" / videos[0].name
    twin.parent.mkdir()
    shutil.copy(videos[0], twin)
    code, _, _ = command("parse", *videos, twin, "--run", work / "run", "-o", tmp_path / "out", "--workers", "0")
    assert code == 0
    names = [videos[0].stem, videos[1].stem, f"{videos[0].stem}-2"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{n}.json" for n in names), "events.csv", "index.csv", "report.html"]
    )
    raw = json.loads((tmp_path / "out" / f"{names[0]}.json").read_text())
    fields = {"video", "duration", "segment_seconds", "classes", "segments", "events", "media_start", "warnings"}
    fields.add("trained_on")
    assert set(raw) == fields
    assert raw["trained_on"] == "synthetic"
    assert np.array(raw["segments"]["audio"]).shape == (10, len(raw["classes"]))
    assert raw["duration"] == pytest.approx(10.0, abs=0.05)
    assert all(set(e) == {"class", "modality", "onset", "offset", "score"} for e in raw["events"])
    other = json.loads((tmp_path / "out" / f"{names[2]}.json").read_text())
    assert (raw.pop("video"), other.pop("video")) == (str(videos[0]), str(twin))  # their names would not tell
    assert raw == other
    timeline = Timeline.load(tmp_path / "out" / f"{names[0]}.json")
    assert timeline.as_dict() == {**raw, "video": str(videos[0])}
    with open(tmp_path / "out" / "events.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    total = sum(len(json.loads((tmp_path / "out" / f"{n}.json").read_text())["events"]) for n in names)
    assert len(rows) == total


def test_a_stopped_parse_goes_on_where_it_was(
    work: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for video in sorted((work / "corpus/videos").glob("*.mp4"))[:3]:
        shutil.copy(video, folder)
    first, second, third = sorted(folder.iterdir())
    (folder / "broken.mp4").write_bytes(b"no video")
    decoded: list[str] = []

    def decode(paths: Sequence[Path], *arguments: Any, **settings: Any) -> Iterator[Extracted | Failed]:
        for path in paths:
            if stop_at == path:
                raise KeyboardInterrupt
            decoded.append(path.name)
            yield from extract_videos([path], *arguments, **{**settings, "workers": 0})

    def parse(out: str, *options: str) -> int:
        decoded.clear()
        code, _, err = command("parse", folder, "--run", work / "run", "-o", tmp_path / out, *options)
        assert ("avparse: interrupted" in err) == (code == 130)
        return code

    monkeypatch.setattr(parsing, "extract_videos", decode)
    stop_at: Path | None = None
    assert parse("whole") == 3
    stop_at = third
    assert parse("out") == 130
    assert decoded == ["broken.mp4", first.name, second.name]
    os.utime(second)  # it may have changed
    stop_at = None
    assert parse("out") == 3
    assert decoded == ["broken.mp4", second.name, third.name]
    written = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert written == {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}
    assert len(written) == 7
    assert parse("out") == 3
    assert len(decoded) == 3  # no features are left of a call that ended, and the broken file is as it was
    assert parse("out", "--retry-failed") == 3
    assert len(decoded) == 4


def test_parse_with_labels_allows_only_those(
    work: Path, tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    shutil.copytree(work / "run", run)
    recipe = (run / "recipe.yaml").read_text()
    # With thresholds of zero everything that is allowed is on, so the restriction shows.
    for name in ("segment_threshold", "audio_gate_threshold", "visual_gate_threshold"):
        recipe = recipe.replace(f"{name}: 0.5", f"{name}: 0.0")
    (run / "recipe.yaml").write_text(recipe)
    videos = sorted((work / "corpus/videos").glob("*.mp4"))[:2]
    assert command("parse", *videos, "--run", run, "-o", tmp_path / "all", "--workers", "0")[0] == 0
    everything = Timeline.load(tmp_path / "all" / f"{videos[0].stem}.json")
    assert {e.class_name for e in everything.events} == set(everything.classes)
    assert command("parse", *videos, "--run", run, "-o", tmp_path / "two", "--labels", "Speech, Dog")[0] == 0
    two = Timeline.load(tmp_path / "two" / f"{videos[0].stem}.json")
    assert {e.class_name for e in two.events} == {"Speech", "Dog"}
    table = tmp_path / "labels.csv"
    table.write_text(f"video,labels\n{videos[0].stem},Dog\n")
    assert command("parse", *videos, "--run", run, "-o", tmp_path / "table", "--labels", table)[0] == 0
    assert f"no row of 1 of 2 videos (such as '{videos[1].stem}')" in caplog.text
    parsed = [Timeline.load(tmp_path / "table" / f"{v.stem}.json") for v in videos]
    assert {e.class_name for e in parsed[0].events} == {"Dog"}
    assert {e.class_name for e in parsed[1].events} == set(everything.classes)
    _refused(
        command("parse", videos[0], "--run", run, "-o", tmp_path / "bad", "--labels", "Speech,Dgo"),
        "--labels: unknown class 'Dgo'; did you mean 'Dog'?",
    )


def test_parse_with_other_classes(
    work: Path, tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    few = ["--set", "training.epochs=1", "--set", "parser.decoder={name: leap, heads: 2}", "--set", "denoiser=null"]
    run = tmp_path / "run"
    assert command("train", "demo", "--data", work / "store", "-o", run, "--device", "cpu", *few)[0] == 0
    caplog.clear()  # training tells that its videos are few
    video = sorted((work / "corpus/videos").glob("*.mp4"))[0]
    parse = ("parse", video, "--workers", "0", "--run")
    assert command(*parse, run, "-o", tmp_path / "own")[0] == 0
    assert not caplog.messages
    own = Timeline.load(tmp_path / "own" / f"{video.stem}.json")
    assert own.attention is not None
    (tmp_path / "my.txt").write_text("Whistling kettle\nDog\n\nSpeech\n")
    other = ("--classes", tmp_path / "my.txt")
    assert command(*parse, run, "-o", tmp_path / "other", *other, "--labels", "Dog,Whistling kettle")[0] == 0
    assert caplog.messages[0].endswith("its predictions of Whistling kettle are arbitrary")
    timeline = Timeline.load(tmp_path / "other" / f"{video.stem}.json")
    assert timeline.classes == ("Whistling kettle", "Dog", "Speech")
    assert {e.class_name for e in timeline.events} <= {"Dog", "Whistling kettle"}
    for modality in ("audio", "visual"):  # a class does not see the others, so those it was taught stay as they were
        taught = [own.classes.index(name) for name in ("Dog", "Speech")]
        for before, after in ((own.segments, timeline.segments), (own.attention, timeline.attention)):
            np.testing.assert_allclose(after[modality][:, 1:], before[modality][:, taught], atol=2e-4)
    page = (tmp_path / "other" / "report.html").read_text()
    assert "The parser was not trained on: Whistling kettle." in page
    assert '"classes":["Whistling kettle","Dog","Speech"]' in page

    vectors = tmp_path / "vectors.npz"
    np.savez(vectors, vectors=np.eye(3, 300, dtype=np.float32), names=np.array(timeline.classes))
    assert command(*parse, run, "-o", tmp_path / "third", *other, "--label-vectors", vectors)[0] == 0
    third = Timeline.load(tmp_path / "third" / f"{video.stem}.json")
    assert third.classes == timeline.classes
    assert third.as_dict()["segments"] != timeline.as_dict()["segments"]

    nowhere = ("-o", tmp_path / "none")
    _refused(command(*parse, work / "run", *nowhere, *other), f"{other[1]}: this parser has one output per class")
    _refused(command(*parse, run, *nowhere, *other, "--labels", "Cat"), "--labels: unknown class 'Cat'")
    _refused(command(*parse, run, *nowhere, "--label-vectors", vectors), "give it with --classes")
    _refused(command(*parse, run, *nowhere, "--classes", tmp_path / "no.txt"), "no.txt: cannot be read")
    np.savez(vectors, vectors=np.eye(3, 9, dtype=np.float32), names=np.array(timeline.classes))
    _refused(command(*parse, run, *nowhere, *other, "--label-vectors", vectors), "vectors.npz: 9 values per class, not")
    recipe = run / "recipe.yaml"
    each = ", ".join(["0.5"] * len(own.classes))
    recipe.write_text(recipe.read_text().replace("segment_threshold: 0.5", f"segment_threshold: [{each}]"))
    _refused(command(*parse, run, *nowhere, *other), f"{recipe} has a threshold for each class")
    assert not (tmp_path / "none").exists()


def test_real_clip_is_decoded_in_both_modalities(work: Path, shared: Path, tmp_path: Path, command: Command) -> None:
    clip = shared / "data" / "llp" / "BjCEufrlXm4.mp4"
    assert command("parse", clip, "--run", work / "run", "-o", tmp_path / "out")[0] == 0
    timeline = Timeline.load(tmp_path / "out" / "BjCEufrlXm4.json")
    assert timeline.duration == pytest.approx(10.0, abs=0.1)
    assert timeline.segment_seconds == 1.0
    for modality in ("audio", "visual"):
        segments = timeline.segments[modality]
        assert segments is not None
        assert segments.shape == (10, len(timeline.classes))
        assert (segments > 0).all()


def _one_stream(source: Path, target: Path, kind: str) -> Path:
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        stream = getattr(original.streams, kind)[0]
        out = copy.add_stream_from_template(stream)
        for packet in original.demux(stream):
            if packet.dts is not None:
                packet.stream = out
                copy.mux(packet)
    return target


@pytest.mark.parametrize(("kind", "absent", "present"), [("audio", "visual", "audio"), ("video", "audio", "visual")])
def test_an_absent_modality_is_absent(
    work: Path, tmp_path: Path, command: Command, kind: str, absent: str, present: str
) -> None:
    source = sorted((work / "corpus/videos").glob("*.mp4"))[0]
    clip = _one_stream(source, tmp_path / "half.mp4", kind)
    assert command("parse", clip, "--run", work / "run", "-o", tmp_path / "out")[0] == 0
    timeline = Timeline.load(tmp_path / "out" / "half.json")
    assert timeline.segments[absent] is None
    assert timeline.segments[present] is not None
    assert all(e.modality == present for e in timeline.events)


def test_bad_videos_are_one_line_and_do_not_stop_the_others(work: Path, tmp_path: Path, command: Command) -> None:
    good = sorted((work / "corpus/videos").glob("*.mp4"))[0]
    folder = tmp_path / "mixed"
    folder.mkdir()
    shutil.copy(good, folder / "good.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 50)
    (folder / "cut.mp4").write_bytes(good.read_bytes()[:900])
    code, _, err = command("parse", folder, "--run", work / "run", "-o", tmp_path / "out", "--workers", "1")
    assert code == 3
    assert [p.name for p in (tmp_path / "out").glob("*.json")] == ["good.json"]
    skipped = [line for line in err.splitlines() if line.startswith("skipped ")]
    assert len(skipped) == 3
    for name in ("empty.mp4", "text.mp4", "cut.mp4"):
        assert [line.count(name) for line in skipped if name in line] == [1]
        _refused(command("parse", folder / name, "--run", work / "run", "-o", tmp_path / "none"), name)
        assert not (tmp_path / "none" / "events.csv").exists()


def test_extraction_skips_bad_videos_and_continues(
    work: Path, tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for source in sorted((work / "corpus/videos").glob("*.mp4"))[:3]:
        shutil.copy(source, folder / source.name)
    ids = sorted(p.stem for p in folder.iterdir())
    whole = (folder / f"{ids[1]}.mp4").read_bytes()
    (folder / f"{ids[1]}.mp4").write_bytes(b"")
    (tmp_path / "labels.csv").write_text("video,labels,split\n" + "".join(f"{i},Dog|Bell,train\n" for i in ids))
    (tmp_path / "classes.txt").write_text("Bell\nDog\n")
    (tmp_path / "events.csv").write_text(f"video,class,modality,onset,offset\n{ids[0]},Dog,audio,1.2,3.6\n")
    arguments = ["extract", folder, "--labels", tmp_path / "labels.csv", "--classes", tmp_path / "classes.txt"]
    arguments += ["--events", tmp_path / "events.csv", "-o", tmp_path / "store", "--workers", "0"]
    code, _, err = command(*arguments)
    assert code == 3
    assert f"skipped {folder / ids[1]}.mp4" in err
    assert FeatureStore.open(tmp_path / "store").videos == [ids[0], ids[2]]
    (folder / f"{ids[1]}.mp4").write_bytes(whole)
    assert command(*arguments)[0] == 0
    store = FeatureStore.open(tmp_path / "store")
    assert store.videos == [ids[0], ids[2], ids[1]]
    assert store.annotated.tolist() == [True, False, False]
    truth = np.array(store.truth("audio")[:10])
    assert np.flatnonzero(truth[:, 1]).tolist() == [1, 2, 3]  # segments whose middle is in [1.2, 3.6)
    assert not truth[:, 0].any()
    (tmp_path / "events.csv").write_text(f"video,class,modality,onset,offset\n{ids[0]},Dog,audio,1.2,4.6\n")
    assert command(*arguments)[0] == 0
    assert f"1 of 3 videos have other events (such as '{ids[0]}')" in caplog.text
    assert np.flatnonzero(FeatureStore.open(tmp_path / "store").truth("audio")[:10, 1]).tolist() == [1, 2, 3, 4]
    shutil.copy(folder / f"{ids[2]}.mp4", folder / f"{ids[0]}.mp4")
    (folder / f"{ids[1]}.mp4").unlink()
    (tmp_path / "labels.csv").write_text("video,labels,split\n" + "".join(f"{i},Dog,train\n" for i in ids[:2]))
    assert command(*arguments)[0] == 0
    assert "2 of 2 videos have other labels" in caplog.text
    assert f"1 video with features and no labels, left out: '{ids[2]}'" in caplog.text
    assert f"{ids[0]}.mp4 has changed (" in caplog.text
    assert f"no file any more of 1 videos of the store (such as '{ids[1]}'), whose features stay" in caplog.text
    again = FeatureStore.open(tmp_path / "store")
    assert again.videos == [ids[1], ids[0]]
    rows = slice(int(again.first_row[1]), int(again.first_row[1]) + 10)
    np.testing.assert_array_equal(again.stream("audio")[rows], store.stream("audio")[10:20])
    caplog.clear()
    before = (tmp_path / "store" / "manifest.json").stat().st_mtime_ns
    shutil.copy(folder / f"{ids[0]}.mp4", tmp_path / "same")
    shutil.copy(tmp_path / "same", folder / f"{ids[0]}.mp4")  # another time, the same content
    assert command(*arguments)[0] == 0
    assert "has changed" not in caplog.text
    assert (tmp_path / "store" / "manifest.json").stat().st_mtime_ns == before
    (tmp_path / "classes.txt").write_text("Bell\n")
    _refused(command(*arguments), "labels.csv:2: unknown class 'Dog'")
    _refused(command("extract", tmp_path / "no", "--labels", work / "corpus", "-o", tmp_path / "x"), "no such folder")
    shutil.copy(folder / f"{ids[0]}.mp4", folder / f"{ids[0]}.mov")
    twice = command("extract", folder, "--labels", work / "corpus", "-o", tmp_path / "x")
    _refused(twice, f"'{ids[0]}.mov' and '{ids[0]}.mp4' are both video '{ids[0]}'; keep one")


def test_labelled_videos_without_a_file_are_told(
    work: Path, tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    source = min((work / "corpus/videos").glob("*.mp4"))
    shutil.copy(source, folder / source.name)
    (tmp_path / "classes.txt").write_text("Dog\n")
    (tmp_path / "labels.csv").write_text(f"video,labels\nlost,Dog\n{source.stem},Dog\n")
    given = ["--labels", tmp_path / "labels.csv", "--classes", tmp_path / "classes.txt", "--workers", "0"]
    assert command("extract", folder, *given, "-o", tmp_path / "store")[0] == 0
    assert "no file of 1 of 2 labelled videos (such as 'lost')" in caplog.text
    (tmp_path / "events.csv").write_text("video,class,modality,onset,offset\nlots,Dog,audio,0,1\nlost,Dog,audio,0,1\n")
    events = ["--events", tmp_path / "events.csv", "-o", tmp_path / "store"]
    assert command("extract", folder, *given, *events)[0] == 0
    assert (
        f"1 of its 2 videos have no row in {tmp_path / 'labels.csv'} (such as 'lots') and are left out" in caplog.text
    )
    (folder / source.name).write_bytes(b"")
    _refused(
        command("extract", folder, *given, "-o", tmp_path / "none"),
        "none of 1 videos could be read, so no store was made",
    )
    assert not (tmp_path / "none").exists()


def test_an_accelerator_that_is_not_there_is_refused(work: Path, tmp_path: Path, command: Command) -> None:
    missing = next((name for name, there in ACCELERATORS.items() if not there), None)
    if missing is None:
        pytest.skip("all accelerators are there")
    refused = command("train", "demo", "--data", work / "store", "-o", tmp_path / "run", "--device", missing)
    _refused(refused, f"--device {missing}: torch finds none on this machine")
    assert not (tmp_path / "run").exists()


def test_runs_and_stores_that_do_not_fit_are_refused(work: Path, tmp_path: Path, command: Command) -> None:
    store = work / "store"
    _refused(command("train", "demo", "--data", store, "-o", work / "run"), "the run folder exists")
    _refused(
        command("train", "dmo", "--data", store, "-o", tmp_path / "r"), "unknown recipe 'dmo'; did you mean 'demo'?"
    )
    _refused(
        command("train", "demo", "--data", store, "-o", tmp_path / "r", "--set", "training.epohcs=1"),
        "unknown key 'training.epohcs'; did you mean 'epochs'?",
    )
    _refused(command("train", "demo", "--data", work, "-o", tmp_path / "r"), str(work))
    assert not (tmp_path / "r").exists()
    toy = toy_store(tmp_path / "toy")
    _refused(command("evaluate", "--run", work / "run", "--data", toy.path), "does not fit the run")
    run = tmp_path / "toy-run"
    assert (
        command("train", "han", "--data", toy.path, "-o", run, "--set", "training.epochs=1", "--device", "cpu")[0] == 0
    )
    clip = sorted((work / "corpus/videos").glob("*.mp4"))[0]
    _refused(command("parse", clip, "--run", run, "-o", tmp_path / "out"), "'toy', which avparse cannot extract")
    (tmp_path / "file").touch()
    _refused(command("parse", clip, "--run", work / "run", "-o", tmp_path / "file" / "out"), "a file stands where")


@pytest.fixture(params=["full", "read-only"])
def unwilling_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A disk that is too small for anything, or read-only, and what the message must say."""
    path = tmp_path / "disk"
    path.mkdir()
    options = "size=24k" if request.param == "full" else "size=1m,ro"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield path, "the disk is full" if request.param == "full" else "the file system is read-only"
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.slow
def test_a_disk_that_refuses_is_one_line(work: Path, unwilling_disk: tuple[Path, str], command: Command) -> None:
    disk, message = unwilling_disk
    videos = sorted((work / "corpus/videos").glob("*.mp4"))[:2]
    _refused(command("train", "demo", "--data", work / "store", "-o", disk / "run", "--device", "cpu"), message)
    _refused(command("parse", *videos, "--run", work / "run", "-o", disk / "out", "--workers", "0"), message)
    _refused(
        command("extract", work / "corpus/videos", "--labels", work / "corpus", "-o", disk / "store", "--workers", "0"),
        message,
    )
    _refused(command("simulate", disk / "simulated", "--train", "40", "--val", "8", "--test", "8"), message)
    _refused(command("synth", disk / "corpus", "--videos", "4", "--workers", "1"), message)
    assert not list(disk.glob("**/parser.safetensors"))
    assert not list(disk.glob("**/report.html"))


def test_a_name_that_the_system_refuses_is_one_line(work: Path, tmp_path: Path, command: Command) -> None:
    video = shutil.copy(min((work / "corpus/videos").glob("*.mp4")), tmp_path / f"{'n' * 251}.mp4")
    parse = ("parse", video, "--run", work / "run", "--workers", "0", "-o")
    assert command(*parse, tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / f"{'n' * 200}.json").is_file()
    _refused(command(*parse, tmp_path / ("o" * 300)), "the name is too long")
    if Path("/proc/self").exists():
        _refused(command(*parse, Path("/proc/out")), "cannot write /proc/out: its folder is gone or takes no files")


def test_evaluate_repeats_the_table_of_the_run(work: Path, command: Command) -> None:
    code, out, _ = command("evaluate", "--run", work / "run", "--data", work / "store")
    assert code == 0
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert table == [line for line in (work / "run/results.md").read_text().splitlines() if line.startswith("|")]
    assert "bootstrap" in out
    _refused(command("evaluate", "--run", work / "run", "--data", work / "store", "--split", "tset"), "tset")


def test_version_recipes_and_help(command: Command) -> None:
    assert command("--version")[1].startswith("avparse 0.")
    assert "han" in command("recipes")[1]
    assert "parse" in command("--help")[1]
    assert command("prase")[0] == 2


def test_unfinished_run_cannot_parse(work: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "run"
    unfinished.mkdir()
    for name in ("run.json", "recipe.yaml"):
        shutil.copy(work / "run" / name, unfinished / name)
    with pytest.raises(UserError, match="no trained parser yet"):
        Run.open(unfinished).parser()
