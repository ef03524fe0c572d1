"""The report of many videos: an index and a page a video, written only where something changed; stored timelines."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from avparse.app import parse_files
from avparse.app.report.against import TruthTable
from avparse.app.report.csv import write_events_csv
from avparse.app.report.folder import PageFolder
from avparse.app.report.from_stored import report_stored
from avparse.app.report.other import OtherEvents, spans_by_lane
from avparse.app.report.unknown_rule import lowest_in_events
from avparse.data.timeline import Event, Timeline
from avparse.foundation.errors import UserError
from tests.app.test_outputs import rows_of, sound
from tests.app.test_report import Page
from tests.conftest import Command
from tests.invented import CLASSES, make_video


@pytest.fixture
def parse(tiny_run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(parse_files, "MOST_ON_ONE_PAGE", 2)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        return command("parse", *arguments, "--run", tiny_run, "--workers", "0")

    return run


def listed(index: Path) -> list[tuple[str, str]]:
    return [(row["name"], row["page"]) for row in Page(index).data["videos"]]


def test_a_call_on_one_new_video_writes_its_page_and_the_index(tmp_path: Path, parse: Command) -> None:
    videos = tmp_path / "v"  # also the folder of the results
    for name in ("a", "b #1"):
        sound(videos / f"{name}.wav", 0.5)
    assert parse(videos, "-o", videos)[0] == 0
    assert len(Page(videos / "report.html").data["videos"]) == 2
    assert not (videos / "report").exists()
    shutil.copy(videos / "a.wav", videos / "c.wav")
    assert parse(videos / "c.wav", "-o", videos)[0] == 0
    expected = [("a.wav", "report/a.html"), ("b #1.wav", "report/b%20%231.html"), ("c.wav", "report/c.html")]
    assert listed(videos / "report.html") == expected
    (page,) = Page(videos / "report" / "b #1.html").data["videos"]
    assert (page["video"], page["media"]["url"], page["media"]["embedded"]) == ("b #1.wav", "../b%20%231.wav", False)
    assert page["note"] == "Parsed by an earlier call."
    pages = {path: path.stat().st_mtime_ns for path in (videos / "report").iterdir()}
    shutil.copy(videos / "a.wav", videos / "d.wav")
    assert parse(videos / "d.wav", "-o", videos)[0] == 0
    assert len(listed(videos / "report.html")) == 4
    assert {path: path.stat().st_mtime_ns for path in pages} == pages
    # All of them again: nothing that was written is taken for a file beside videos.
    assert parse(videos, "-o", videos)[0] == 0
    assert not (videos / "skipped.csv").exists()
    assert [float(row["duration"]) for row in rows_of(videos / "index.csv")] == pytest.approx([0.5] * 4, abs=0.05)
    (videos / "report" / "a.html").write_text("mine")
    code, _, err = parse(videos / "a.wav", "-o", videos)
    assert (code, "a.html: 'avparse' did not write this page" in err) == (2, True)


def test_a_page_is_current_while_it_shows_what_the_timeline_holds(tmp_path: Path) -> None:
    pages, video = PageFolder(tmp_path), make_video()
    video.timeline.save(tmp_path / "a.json")
    assert not pages.is_current("a.json")
    pages.write("a.json", video, None)
    assert pages.is_current("a.json")
    os.utime(tmp_path / "report" / "a.html", (0, 0))  # as copying a folder leaves it
    assert pages.is_current("a.json")
    replace(video.timeline, events=[]).save(tmp_path / "a.json")
    os.utime(tmp_path / "report" / "a.html", (0, 0))
    assert not pages.is_current("a.json")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    for run, seed in (("mine", 0), ("theirs", 1)):
        for name in ("a", "b"):
            timeline = replace(make_video(seed).timeline, video=f"{name}.mp4")
            (tmp_path / run).mkdir(exist_ok=True)
            timeline.save(tmp_path / run / f"{name}.json")
    return tmp_path


def test_two_runs_are_compared_by_the_names_of_their_videos(stored: Path, command: Command) -> None:
    (stored / "theirs" / "b.json").unlink()
    (stored / "videos").mkdir()
    (stored / "videos" / "a.mp4").write_bytes(b"no video")
    given = ("report", stored / "mine", "--against", stored / "theirs", "--media", stored / "videos")
    code, printed, err = command(*given, "-o", stored / "out")
    assert (code, "report.html: 2 videos" in printed, "1 compared with theirs: " in printed) == (0, True, True)
    first, second = Page(stored / "out" / "report.html").data["videos"]
    assert (first["other"]["label"], first["media"]["bytes"]) == ("theirs", 8)
    assert (second["other"], second["media"]) == (None, None)
    assert second["note"] == "In theirs there is nothing of this video."
    assert "its page has no waveform" in err or first["waveform"] is None
    # Two files are one video, whatever their names.
    one, other = stored / "mine" / "b.json", stored / "theirs" / "a.json"
    assert report_stored(one, stored / "pair", against=other).compared == 1


def test_the_rule_of_a_run_gives_its_thresholds(stored: Path, tiny_run: Path, command: Command) -> None:
    for options, gate, thresholds in (((), "", None), (("--run", tiny_run), "own", [0.0] * len(CLASSES))):
        assert command("report", stored / "mine" / "a.json", *options, "-o", stored / "out")[0] == 0
        (video,) = Page(stored / "out" / "report.html").data["videos"]
        assert (video["gate"], thresholds in (None, video["thresholds"])) == (gate, True)
    assert command("report", stored / "mine", "--run", stored / "mine", "-o", stored / "out")[0] == 2


def test_the_truth_is_a_table_of_events(stored: Path) -> None:
    timeline = Timeline.load(stored / "mine" / "a.json")
    cat = Event("Cat", "audio", 0.0, 1.0)
    write_events_csv(stored / "events.csv", [replace(timeline, events=[*timeline.events, cat])])
    done = report_stored(stored / "mine", stored / "out", truth=stored / "events.csv")
    assert (done.compared, done.differences.agreement) == (1, 1.0)
    first, second = Page(stored / "out" / "report.html").data["videos"]
    assert first["other"]["told"] == "Not compared are classes only in truth: Cat."
    assert first["truth"] is not None
    assert second["truth"] is None
    truth = TruthTable(stored / "events.csv").truth(timeline)
    lanes = spans_by_lane(timeline.events)
    for (name, modality), spans in lanes.items():
        marked = truth[modality][:, CLASSES.index(name)]
        assert marked.sum() == sum(round(b + 0.3) - round(a) for a, b in spans)


def test_what_cannot_be_reported_is_one_line(stored: Path, tmp_path: Path, command: Command) -> None:
    mine, theirs, out = stored / "mine", stored / "theirs", stored / "out"
    (stored / "empty").mkdir()
    (stored / "other").mkdir()
    shutil.copy(theirs / "a.json", stored / "other" / "x.json")
    text = (stored / "other" / "x.json").read_text().replace('"a.mp4"', '"x.mp4"')
    (stored / "other" / "x.json").write_text(text)
    for given, told in (
        ((stored / "gone",), "gone: no such file or folder"),
        ((stored / "empty",), "holds no timeline"),
        ((mine, "--against", theirs, "--truth", stored / "e.csv"), "give one of the two"),
        ((mine, "--against", stored / "other"), "has none of the videos of"),
        ((mine, "--truth", stored / "gone.csv"), "gone.csv: cannot be read"),
    ):
        code, _, err = command("report", *given, "-o", out)
        assert (code, told in err, err.count("\n")) == (2, True, 1), err
    assert not list(out.glob("*"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "report.html").write_text("mine")
    with pytest.raises(UserError, match="did not write this page"):
        report_stored(mine, tmp_path / "own")


def test_differences_are_counted_by_class_and_modality() -> None:
    timeline = make_video(segments=10).timeline
    here = [Event("Dog", "audio", 0, 4), Event("Dog", "audio", 6, 7), Event("Cello", "visual", 0, 2)]
    there = [Event("Dog", "audio", 3, 5), Event("Dog", "visual", 0, 1), Event("Cat", "audio", 0, 9)]
    found = OtherEvents("other", there).differences(replace(timeline, events=here))
    assert (found.both_s, found.here_s, found.there_s) == (1, 6, 2)
    assert (found.only_here, found.only_there) == (2, 1)
    assert found.agreement == pytest.approx(1 / 9)
    known = OtherEvents("other", there, classes=("Dog", "Cat"), segment_seconds=2.0)
    assert known.differences(replace(timeline, events=here)).only_here == 1
    assert known.told(timeline) == (
        "Not compared are classes only here: Frying (food), Speech, Cello; only in other: Cat. "
        "Segments are 1 s here and 2 s in other."
    )
    assert OtherEvents("other", []).differences(replace(timeline, events=[])).agreement is None


def test_the_thresholds_of_an_unknown_rule_are_the_lowest_in_events() -> None:
    timeline = make_video(seed=5, segments=30).timeline
    found = lowest_in_events(timeline)
    assert (found >= 0.5).all()  # the rule that made the events
    assert lowest_in_events(replace(timeline, events=[])).tolist() == [0.5] * 4
