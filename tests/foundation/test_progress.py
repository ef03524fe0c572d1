"""Progress is told as the caller chooses: a bar, a function of the caller's, or nothing."""

from __future__ import annotations

import time

import pytest

from avparse.foundation import progress
from avparse.foundation.progress import Stages, Tracker, showing, track

Calls = list[tuple[int, int | None, str]]


def test_a_function_is_told_after_every_item() -> None:
    calls: Calls = []
    with showing(lambda *call: calls.append(call)):
        assert list(track("ab", "letters")) == ["a", "b"]
        assert list(track(iter("ab"), "letters", first=3)) == ["a", "b"]
    assert calls == [(1, 2, "letters"), (2, 2, "letters"), (4, None, "letters"), (5, None, "letters")]


def test_work_that_advances_by_itself() -> None:
    calls: Calls = []
    with showing(lambda *call: calls.append(call)):
        tracker: Tracker[None] = track(None, "steps", total=5)
    with tracker:  # what was chosen when it began holds, also for a generator that is consumed later
        tracker.update(2)
        tracker.note("loss 1.0")
        tracker.update(3)
    assert calls == [(2, 5, "steps"), (5, 5, "steps")]


def test_a_bar_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("bar"):
        list(track("ab", "letters", unit="letter"))
    assert "letters: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("progress", [None, "auto"])
def test_nothing_where_none_is_wanted_and_where_there_is_no_terminal(
    progress: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with showing(progress):
        list(track("ab", "letters"))
    assert capsys.readouterr() == ("", "")


def test_the_default_keeps_to_what_was_chosen_outside() -> None:
    calls: Calls = []
    with showing(lambda *call: calls.append(call)), showing("auto"):
        list(track("a", "letters"))
    with showing(lambda *call: calls.append(call)), showing(None):
        list(track("a", "silent"))
    assert calls == [(1, 1, "letters")]


def test_an_error_of_the_function_ends_the_work() -> None:
    def stop(done: int, total: int | None, what: str) -> None:
        raise KeyboardInterrupt

    with showing(stop), pytest.raises(KeyboardInterrupt):
        list(track("ab", "letters"))


def test_a_bar_says_its_stage_and_how_long_all_of_them_take(capsys: pytest.CaptureFixture[str]) -> None:
    stages = Stages({"extract": 3.0, "train": 1.0})
    with showing("bar"):
        with stages.at("extract"):
            bar: Tracker[None] = track(None, "videos", total=3)
            with bar:
                bar.update(2)
                time.sleep(0.01)
                bar.note("half a note", now=True)
        with stages.at("train"):
            inner = Stages({"first": 1.0, "second": 1.0})
            with inner.at("second"), track(None, "HAN", total=2) as bar:
                bar.note("", now=True)
    shown = capsys.readouterr().err
    assert "1/2 extract: videos" in shown
    assert "half a note, all done in about 0:0" in shown
    assert "2/2 train, 2/2 second: HAN" in shown


def test_one_stage_has_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("bar"), Stages({"train": 1.0}).at("train"), track(None, "HAN", total=2) as bar:
        bar.update()
    shown = capsys.readouterr().err
    assert "HAN: " in shown
    assert "1/1" not in shown
    assert "all done" not in shown


def test_what_remains_is_judged_by_what_was_seen() -> None:
    """An operation that is resumed at half of its work does not count the half that it did not do."""
    clock = progress._Clock()
    clock.left(0.5)
    clock.since_s = time.monotonic() - 10.0
    assert clock.left(0.75) == "all done in about 0:10"
