"""Progress is told as the caller chooses: a bar, a function of the caller's, or nothing."""

from __future__ import annotations

import pytest

from avparse.foundation.progress import Tracker, showing, track

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
