"""'export', 'import events' and 'parse --to': an output for every input, nothing of others replaced, clear refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from avparse.app.output_index import OutputIndex
from avparse.data.datasets.tables import read_event_table
from avparse.data.timeline import Event, Timeline
from avparse.data.vocabulary import Vocabulary
from tests.clips import tone, write_clip
from tests.conftest import Command

ALL = "csv,jsonl,parquet,llp,dcase,audacity,elan,raven,webvtt,srt,rttm,label-studio,fiftyone"


def results(out: Path, videos: dict[Path, list[Event]], trained_on: str = "") -> Path:
    """Write a folder of results as 'parse' does: a timeline a video, and the index."""
    out.mkdir(parents=True, exist_ok=True)
    index = OutputIndex(out, list(videos))
    for path, title in index.titles().items():
        timeline = Timeline(title, 10.25, 1.0, ("Dog",), {"audio": None, "visual": None}, videos[path])
        timeline = Timeline(**{**timeline.__dict__, "trained_on": trained_on})
        timeline.save(out / index.add(path, timeline))
    index.write()
    return out


DOG = Event("Dog", "audio", 1.0, 2.5, 0.75)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_formats_are_written_and_read_again_as_truth(tmp_path: Path, command: Command) -> None:
    out = results(tmp_path / "out", {tmp_path / "a.mp4": [DOG], tmp_path / "b.mp4": []})
    code, told, error = command("export", out, "--to", ALL)
    assert (code, error) == (0, "")
    assert "llp: does not hold scores: those of 1 events are left out" in told
    assert {path.name for path in (out / "export").iterdir() if path.is_dir()} == set(ALL.split(","))
    table = tmp_path / "back.csv"
    for path in ("elan/a.eaf", "rttm/events.rttm", "dcase/audio.tsv", "audacity/a.audio.txt", "srt/a.srt"):
        assert command("import", "events", out / "export" / path, "-o", table)[0] == 0
        ((video, (row,)),) = read_event_table(table, Vocabulary(("Dog",))).items()
        assert video == "a"
        assert (row.event.class_name, row.event.modality, row.event.onset, row.event.offset) == ("Dog", "audio", 1, 2.5)


def test_a_table_of_events_of_parse_is_exported(tmp_path: Path, command: Command) -> None:
    (tmp_path / "events.csv").write_text(
        "video,class,modality,onset,offset,score,trained_on\na.mp4,Dog,audio,1.000,2.500,0.7500,synthetic\n"
    )
    code, told, _ = command("export", tmp_path / "events.csv", "--to", "webvtt,srt", "-o", tmp_path / "x")
    assert code == 0
    text = (tmp_path / "x" / "webvtt" / "a.vtt").read_text()
    assert "NOTE trained_on: synthetic" in text
    assert "[heard] Dog (0.7500)" in text
    assert "srt: does not hold that the parser was trained on simulated or synthetic data" in told


def test_inputs_of_one_name_have_files_of_their_own_in_any_number_of_calls(tmp_path: Path, command: Command) -> None:
    first = results(tmp_path / "1", {tmp_path / "d" / "clip.mp4": [DOG], tmp_path / "d" / "clip.wav": []})
    second = results(tmp_path / "2", {tmp_path / "e" / "clip.mp4": [], tmp_path / "e" / "Clip.mp4": []})
    out = tmp_path / "out"
    assert command("export", first, "--to", "srt", "-o", out)[0] == 0
    assert command("export", second, first, "--to", "srt", "-o", out)[0] == 0
    rows = rows_of(out / "exports.csv")
    assert len(rows) == len({row["file"].casefold() for row in rows}) == 4
    own = {os.path.relpath(row["input"], tmp_path): row["file"] for row in rows}
    assert own["d/clip.mp4"] == "srt/clip.srt"
    assert "Dog" in (out / "srt/clip.srt").read_text()
    assert command("export", first, "--to", "srt", "-o", out)[0] == 0
    assert rows_of(out / "exports.csv") == rows


def test_names_lead_to_no_other_folder(tmp_path: Path, command: Command) -> None:
    names = ["../../evil.mp4", "/etc/passwd", "..", 'a:b?"*', "x" * 400, "=cmd", "<b>\n.mp4"]
    events = [{"video": name, "class": "Dog", "modality": "audio", "onset": 0, "offset": 1} for name in names]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert command("export", tmp_path / "e.jsonl", "--to", "srt,elan", "-o", tmp_path / "deep" / "out")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"e.jsonl", "deep"}
    assert len(list((tmp_path / "deep" / "out" / "srt").iterdir())) == len(names)


def test_a_file_that_was_changed_since_is_not_replaced(tmp_path: Path, command: Command) -> None:
    out = results(tmp_path / "out", {tmp_path / "a.mp4": [DOG]})
    command("export", out, "--to", "elan,jsonl")
    corrected = out / "export" / "elan" / "a.eaf"
    corrected.write_text(corrected.read_text() + "<!-- corrected -->")
    results(out, {tmp_path / "a.mp4": []})
    code, _, error = command("export", out, "--to", "elan")
    assert code == 2
    assert "a.eaf: changed since it was exported; move it away, or choose another --out" in error
    assert "corrected" in corrected.read_text()
    corrected.unlink()
    assert command("export", out, "--to", "elan,jsonl")[0] == 0
    assert "Dog" not in corrected.read_text()


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, command: Command) -> None:
    out = results(tmp_path / "out", {tmp_path / "a.mp4": [DOG]})
    for name in ("elan/a.eaf", "rttm/events.rttm"):
        (out / "export" / name).parent.mkdir(parents=True)
        (out / "export" / name).write_text("mine")
    assert command("export", out, "--to", "elan")[0] == 0
    assert (out / "export/elan/a-2.eaf").is_file()
    code, _, error = command("export", out, "--to", "rttm")
    assert code == 2
    assert "events.rttm: not written by 'export'" in error
    assert {(out / "export" / name).read_text() for name in ("elan/a.eaf", "rttm/events.rttm")} == {"mine"}


def test_raven_wants_durations_of_several_files_and_takes_a_table(tmp_path: Path, command: Command) -> None:
    (tmp_path / "events.csv").write_text("video,class,modality,onset,offset\na,Dog,audio,1,2\nb,Dog,audio,1,2\n")
    code, _, error = command("export", tmp_path / "events.csv", "--to", "raven")
    assert code == 2
    assert "give --durations" in error
    (tmp_path / "durations.tsv").write_text("filename\tduration\na\t10.5\n")
    durations = ("--durations", tmp_path / "durations.tsv")
    assert command("export", tmp_path / "events.csv", "--to", "raven", *durations)[0] == 0
    lines = (tmp_path / "export/raven/events.selections.txt").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["1.000000", "11.500000"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "out", "--to", "elna"), "unknown format of events 'elna'; did you mean 'elan'?"),
        (("export", "out", "--to", ","), "--to: name at least one"),
        (("export", "none.csv", "--to", "srt"), "none.csv: cannot be read"),
        (("export", ".", "--to", "srt"), "index.csv is missing"),
        (("export", "out/bad.json", "--to", "srt"), "bad timeline field"),
        (("import", "events", "-o", "e.csv"), "give the files"),
        (("import", "events", "notes.md", "-o", "e.csv"), "no format of events is recognised; give --format"),
        (("import", "events", "notes.md", "-o", "e.csv", "--format", "rttm"), "notes.md:1: 2 fields"),
        (("import", "events", "notes.md", "-o", "e.csv", "--modality", "sound"), "unknown modality 'sound'"),
        (("import", "llp", "-o", "store"), "give --features and --annotations"),
        (("import", "llp", "notes.md", "-o", "store"), "takes notes.md for nothing"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], told: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results(tmp_path / "out", {tmp_path / "a.mp4": [DOG]})
    (tmp_path / "out" / "bad.json").write_text('{"video": "a", "segment_seconds": 1}')
    (tmp_path / "notes.md").write_text("hello world\n")
    code, _, error = command(*arguments)
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "e.csv").exists()


def test_parse_exports_what_it_wrote(tmp_path: Path, tiny_run: Path, command: Command) -> None:
    videos = tmp_path / "v"
    videos.mkdir()
    write_clip(videos / "a.wav", sound=tone(), seconds=1.0, sample_rate=22_050)
    parse = ("parse", videos, "--run", tiny_run, "--workers", "0", "-o", videos)
    assert command(*parse, "--to", "elna")[0] == 2
    assert not (videos / "a.json").exists()
    for _ in range(2):  # the second call takes no export for a video
        assert command(*parse, "--to", "raven,audacity")[0] == 0
    (row,) = rows_of(videos / "export" / "exports.csv")[:1]
    assert row["video"] == ""
    lines = (videos / "export/raven/events.selections.txt").read_text().splitlines()
    assert lines[1].split("\t")[6] == "11025.0"  # half the sample rate of the file
    assert not (videos / "skipped.csv").exists()
    shutil.rmtree(videos / "export")
    assert os.listdir(videos)
