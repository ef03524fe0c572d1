"""What 'parse' writes: an output of its own for every input, tables of all calls, and nothing of others replaced."""

from __future__ import annotations

import csv
import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from avparse.data.datasets.tables import read_event_table
from avparse.data.vocabulary import Vocabulary
from tests.clips import tone, write_clip
from tests.conftest import Command


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sound(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_clip(path, sound=tone(), seconds=seconds)


def durations(out: Path) -> dict[str, float]:
    """The duration of the timeline of each input, by way of the index."""
    return {
        os.path.basename(os.path.dirname(row["input"])) + "/" + os.path.basename(row["input"]): json.loads(
            (out / row["json"]).read_text()
        )["duration"]
        for row in rows_of(out / "index.csv")
    }


@pytest.fixture
def parse(tiny_run: Path, command: Command) -> Command:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        return command("parse", *arguments, "--run", tiny_run, "--workers", "0")

    return run


def test_every_input_has_an_output_of_its_own_in_any_number_of_calls(tmp_path: Path, parse: Command) -> None:
    apart = unicodedata.normalize("NFD", "é")
    lengths = {"d/a.wav": 1, "d/A.wav": 2, "d/a-2.wav": 3, "e/a.wav": 4, "d/é.wav": 5, f"d/{apart}.wav": 6}
    for name, seconds in lengths.items():
        sound(tmp_path / name, seconds)
    out = tmp_path / "out"
    assert parse(tmp_path / "d" / "a.wav", "-o", out)[0] == 0
    assert parse(tmp_path / "d", tmp_path / "e", "-o", out)[0] == 0
    first = rows_of(out / "index.csv")
    found = durations(out)
    assert {name: round(found[name]) for name in lengths} == lengths
    assert len({unicodedata.normalize("NFC", row["json"]).casefold() for row in first}) == len(lengths)
    assert {row["json"] for row in first} >= {"a.json", "a-2.json"}
    assert next(row for row in first if row["input"].endswith("d/a-2.wav"))["json"] == "a-2.json"
    assert len({row["video"] for row in first}) == len(lengths)
    assert parse(tmp_path / "e", "-o", out)[0] == 0
    assert rows_of(out / "index.csv") == first
    assert {row["video"] for row in rows_of(out / "events.csv")} == {row["video"] for row in first}
    page = (out / "report.html").read_text()
    assert page.count('"segment_seconds"') == len(lengths)
    assert "Parsed by an earlier call." in page


def test_a_rerun_among_the_videos_writes_the_same_names_anew(tmp_path: Path, parse: Command) -> None:
    videos = tmp_path / "v"
    sound(videos / "clip.wav")
    for _ in range(2):
        assert parse(videos, "-o", videos)[0] == 0
        names = {"clip.wav", "clip.json", "index.csv", "events.csv", "report.html"}
        assert {path.name for path in videos.iterdir()} == names
        os.utime(videos / "clip.json", (0, 0))
    assert parse(videos, "-o", videos)[0] == 0
    assert (videos / "clip.json").stat().st_mtime > 0


def test_what_fails_or_lies_beside_a_video_takes_no_name(tmp_path: Path, parse: Command) -> None:
    videos, out = tmp_path / "v", tmp_path / "out"
    sound(videos / "x.wav")
    (videos / "x.avi").write_bytes(b"no video")
    for name in ("x.jpg", "x.description"):
        (videos / name).write_bytes(b"x")
    code, _, err = parse(videos, "-o", out)
    assert code == 3
    assert [row["json"] for row in rows_of(out / "index.csv")] == ["x.json"]
    assert json.loads((out / "x.json").read_text())["video"] == "x.wav"
    skipped = {os.path.basename(row["input"]): row["kind"] for row in rows_of(out / "skipped.csv")}
    assert skipped == {"x.avi": "not media", "x.jpg": "sidecar", "x.description": "sidecar"}
    assert f"skipped {videos / 'x.avi'}: " in err
    assert parse(videos / "x.wav", "-o", out)[0] == 0  # a subset keeps what is known of the others
    assert len(rows_of(out / "skipped.csv")) == 3
    sound(videos / "y.wav")
    shutil.move(videos / "y.wav", videos / "x.avi")
    (videos / "x.jpg").unlink()
    assert parse(videos, "-o", out)[0] == 0
    assert [os.path.basename(row["input"]) for row in rows_of(out / "skipped.csv")] == ["x.description"]


def test_many_failures_are_a_bounded_list_by_kind(tmp_path: Path, parse: Command) -> None:
    videos, out = tmp_path / "v", tmp_path / "out"
    sound(videos / "good.wav")
    for number in range(9):
        (videos / f"bad{number}.mp4").write_bytes(b"no video")
        (videos / f"gone{number}.mp4").symlink_to("nowhere")
    code, _, err = parse(videos, "-o", out)
    assert code == 3
    assert err.count("skipped ") == 10
    assert f"... and 4 more (link); all are in {out / 'skipped.csv'}" in err
    assert len(rows_of(out / "skipped.csv")) == 18
    for name in ("bad0.mp4", "bad1.mp4"):
        alone = parse(videos / name, "-o", tmp_path / "none")
        assert alone[0] == 2
        assert name in alone[2]


def test_files_of_others_are_not_replaced(tmp_path: Path, parse: Command) -> None:
    clip, out = sound(tmp_path / "clip.wav"), tmp_path / "out"
    out.mkdir()
    (out / "clip.json").write_text('{"mine": 1}')
    assert parse(clip, "-o", out)[0] == 0
    assert (out / "clip.json").read_text() == '{"mine": 1}'
    assert [row["json"] for row in rows_of(out / "index.csv")] == ["clip-2.json"]
    stopped = tmp_path / "stopped"  # a call that was killed wrote the timeline, but no index
    stopped.mkdir()
    shutil.copy(out / "clip-2.json", stopped / "clip.json")
    assert parse(clip, "-o", stopped)[0] == 0
    assert [row["json"] for row in rows_of(stopped / "index.csv")] == ["clip.json"]
    for name, text in (("events.csv", "video,class\na,Dog\n"), ("index.csv", "a,b\n1,2\n"), ("report.html", "mine")):
        other = tmp_path / f"with-{name}"
        other.mkdir()
        (other / name).write_text(text)
        code, _, err = parse(clip, "-o", other)
        assert (code, (other / name).read_text()) == (2, text)
        assert f"{other / name}" in err


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("clip.json", "../clip.json"),
        lambda text: text + text.splitlines()[1] + "\n",
        lambda text: text[: len(text) // 2] + "\n",
        lambda text: "",
    ],
)
def test_a_damaged_index_is_one_line(tmp_path: Path, parse: Command, damage: object) -> None:
    assert callable(damage)
    clip, out = sound(tmp_path / "clip.wav"), tmp_path / "out"
    assert parse(clip, "-o", out)[0] == 0
    (out / "index.csv").write_text(damage((out / "index.csv").read_text()))
    code, _, err = parse(clip, "-o", out)
    assert code == 2
    assert "index.csv:" in err
    assert "remove or rename it" in err
    assert "Traceback" not in err


def test_odd_names_are_written_and_read_back(tmp_path: Path, parse: Command) -> None:
    videos, out = tmp_path / "v", tmp_path / "out"
    first = sound(videos / "good.wav")
    odd = [b"caf\xe9.wav", b"caf\\xe9.wav", b"=1+1.wav", b"a\rb\x1b[2J.wav", "é\u202fPM.wav".encode(), b"'=x.wav"]
    for name in odd:
        shutil.copy(os.fsencode(first), os.path.join(os.fsencode(videos), name))
    for _ in range(2):
        code, printed, err = parse(videos, "-o", out)
        assert (code, "\x1b" in printed + err) == (0, False)
        index = rows_of(out / "index.csv")
        assert len(index) == len({row["json"] for row in index}) == 1 + len(odd)
        assert len(list(out.glob("*.json"))) == 1 + len(odd)
    assert "caf_.json" in os.listdir(out)
    assert b"\x1b" not in (out / "index.csv").read_bytes() + (out / "events.csv").read_bytes()
    assert all(not row["video"].startswith("=") for row in rows_of(out / "events.csv"))


def test_events_that_parse_wrote_are_a_table_of_truth(tmp_path: Path, parse: Command, command: Command) -> None:
    videos, out = tmp_path / "v", tmp_path / "out"
    for number in range(3):
        sound(videos / f"{unicodedata.normalize('NFD', 'clé')}{number}.wav", 2.5)
    assert parse(videos, "-o", out)[0] == 0
    events = read_event_table(out / "events.csv", Vocabulary(("Cat", "Dog")))
    assert set(events) == {"clé0", "clé1", "clé2"}
    (tmp_path / "labels.csv").write_text("video;labels;split\nclé0;Cat,Dog;train\nclé1.wav;Dog;val\nclé2;;test\n")
    (tmp_path / "classes.txt").write_text("Cat\nDog\n")
    tables = ("--labels", tmp_path / "labels.csv", "--classes", tmp_path / "classes.txt")
    given = (*tables, "--events", out / "events.csv", "-o", tmp_path / "store", "--workers", "0")
    code, printed, _ = command("extract", videos, *given)
    assert code == 0
    assert "videos      3 in 9 segments" in printed


def test_a_table_of_labels_that_names_no_video_is_an_error(tmp_path: Path, parse: Command) -> None:
    clip = sound(tmp_path / "clip.wav")
    (tmp_path / "labels.csv").write_text("video,labels\nclips,Dog\n")
    code, _, err = parse(clip, "-o", tmp_path / "out", "--labels", tmp_path / "labels.csv")
    assert code == 2
    assert "no row of 1 of 1 videos (such as 'clip'; did you mean 'clips'?)" in err
    (tmp_path / "labels.csv").write_text("video,labels\nclip.wav,Dog\n")
    assert parse(clip, "-o", tmp_path / "out", "--labels", tmp_path / "labels.csv")[0] == 0
    assert {row["class"] for row in rows_of(tmp_path / "out" / "events.csv")} <= {"Dog"}


def test_without_a_run_those_that_are_there_are_named(
    tmp_path: Path, tiny_run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = sound(tmp_path / "clip.wav")
    monkeypatch.chdir(tmp_path)
    code, _, err = command("parse", clip, "-o", tmp_path / "out")
    assert code == 2
    assert "or a trained run: there is no run below the current folder; make one with 'avparse train'" in err
    shutil.copytree(tiny_run, tmp_path / "runs" / "mine")
    assert "or a trained run: give --run runs/mine (newest first)" in command("parse", clip, "-o", tmp_path / "out")[2]
    assert "not a run folder" in command("parse", clip, "-o", tmp_path / "out", "--run", tmp_path)[2]
    code, _, err = command("parse", tmp_path / "absent.mp4", "-o", tmp_path / "out", "--run", tiny_run)
    assert (code, "absent.mp4: no such file or folder" in err) == (2, True)
    assert not (tmp_path / "out").exists()
