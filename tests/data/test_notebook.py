"""Timelines in notebooks: a picture without scripts or network, a table, and a plot."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from avparse.app.report.csv import write_events_csv
from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_table import EventTable
from avparse.data.timeline import Event, Timeline
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError

DOG = (Event("Dog", "audio", 1.0, 2.5, 0.75), Event("Dog", "visual", 2.0, 10.0, 0.5))


def timeline(events: tuple[Event, ...] = DOG, *, video: str = "clip.mp4", duration: float = 10.0) -> Timeline:
    classes = tuple(dict.fromkeys(["Dog", "Rain", *(e.class_name for e in events)]))
    return Timeline(
        video, duration, 1.0, classes, {"audio": None, "visual": None}, list(events), trained_on="synthetic"
    )


class Read(HTMLParser):
    """The tags and the text of a page; what is opened must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        assert not {name for name, _ in attrs} - {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_lanes_of_what_is_heard_and_seen() -> None:
    page = Read(timeline()._repr_html_())
    assert page.open == []
    assert page.tags <= {"div", "span", "b", "i", "bdi"}
    for text in ("clip.mp4", "10 s, 2 events", "heard", "seen", "no events of Rain", "trained on synthetic data"):
        assert text in page.text
    assert "left:10.000%;width:15.000%" in timeline()._repr_html_()


def test_names_stay_text_and_nothing_is_loaded() -> None:
    bad = '"><img src=http://x onerror=alert(1)>'
    page = Read(timeline((Event(bad, "audio", 0, 1),), video=bad)._repr_html_())
    assert "img" not in page.tags
    assert page.text.count(bad) == 2


def test_a_long_video_with_many_events_stays_small() -> None:
    times = [3.0 * n for n in range(200)]
    events = tuple(Event(name, m, t, t + 2) for name in LLP_CLASSES for m in ("audio", "visual") for t in times)
    page = timeline(events, duration=600.0)._repr_html_()
    assert len(page) < 1_400_000
    assert "2 events, at most 1.00" in page


def test_a_timeline_without_events_or_length_has_a_picture() -> None:
    for duration in (0.0, 3.0):
        assert "0 events" in Read(timeline((), duration=duration)._repr_html_()).text


def test_events_become_a_table_of_pandas() -> None:
    table = timeline().to_dataframe()
    assert list(table.columns) == ["video", "class", "modality", "onset", "offset", "score", "trained_on"]
    assert table["onset"].tolist() == [1.0, 2.0]
    assert table["class"].cat.categories.tolist() == ["Dog", "Rain"]
    pd.testing.assert_series_equal(timeline(()).to_dataframe().dtypes, table.dtypes)


def test_a_library_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'avparse\[dataframe\]'"):
        timeline().to_dataframe()
    with pytest.raises(UserError, match=r"pip install 'avparse\[plot\]'"):
        timeline().plot()


def test_a_plot_has_a_row_a_class_and_takes_axes(tmp_path: Path) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    own = figures.Figure().subplots()
    axes = timeline((*DOG, Event("$\\frac{", "audio", 0, 1)), video="$x$").plot(own)
    assert axes is own
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Dog", "$\\frac{"]
    assert axes.get_xlim() == (0, 10)
    axes.figure.savefig(tmp_path / "plot.png")


def test_the_csv_of_parse_and_of_export_are_the_same(tmp_path: Path) -> None:
    write_events_csv(tmp_path / "events.csv", [timeline()])
    (file,) = EVENT_FORMATS["csv"].write(EventTable.of([timeline()])).files
    assert (tmp_path / "events.csv").read_bytes() == file.content
