"""What a format writes it reads back: to the millisecond, with hostile texts, and without any event."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_format import Held
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts, united
from avparse.data.event_formats.reading import guessed_format
from tests.data.event_formats.tables import HOSTILE, hostile, in_order, park, read_back, write

FORMATS = list(EVENT_FORMATS)
WHOLE_SECONDS = {"llp"}
NO_EVENTS = ("durations.tsv", "labelling_config.xml")
PAGE = Path(__file__).parents[3] / "docs" / "howto" / "export.md"

names = st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=12)).filter(lambda text: text.strip())
scores = st.one_of(st.none(), st.integers(0, 10_000).map(lambda n: n / 10_000))


@st.composite
def tables(draw: st.DrawFn, step_ms: int = 1) -> EventTable:
    """Tables of up to two videos; events of one class and modality do not touch."""
    events = []
    for video in draw(st.lists(names, min_size=1, max_size=2, unique=True)):
        for name in draw(st.lists(names, max_size=2, unique_by=str.strip)):
            for modality in ("audio", "visual"):
                edges = sorted(draw(st.lists(st.integers(0, 9_999_999 // step_ms), max_size=4, unique=True)))
                for first, last in zip(edges[::2], edges[1::2], strict=False):
                    times = first * step_ms / 1000, last * step_ms / 1000
                    events.append(VideoEvent(video, name.strip(), modality, *times, draw(scores)))
    facts = {event.video: VideoFacts(10_000.0, "", 48_000.0, 29.97) for event in events}
    return EventTable(tuple(events), facts)


def expected(table: EventTable, name: str) -> list[VideoEvent]:
    holds = EVENT_FORMATS[name].holds
    events = table.events if Held.TOUCH in holds else united(table.events, touching=True)
    return in_order([e if Held.SCORE in holds else replace(e, score=None) for e in events])


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_events_come_back_to_the_millisecond(name: str, data: st.DataObject) -> None:
    table = data.draw(tables(1000 if name in WHOLE_SECONDS else 1))
    with tempfile.TemporaryDirectory() as folder:
        found = read_back(table, name, Path(folder))
    wanted = expected(table, name)
    assert [replace(e, score=None) for e in found] == [replace(e, score=None) for e in wanted]
    assert [e.score for e in found] == [e.score if e.score is None else pytest.approx(e.score) for e in wanted]


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_come_back(name: str, tmp_path: Path) -> None:
    table = hostile()
    found = {(event.video, event.class_name) for event in read_back(table, name, tmp_path)}
    assert found == {(event.video, event.class_name) for event in table.events}


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_table_is_a_file_that_reads_as_empty(name: str, tmp_path: Path) -> None:
    table = EventTable((), {"quiet.mp4": VideoFacts(3.0)})
    paths = write(table, name, tmp_path)
    assert {guessed_format(path) for path in paths if path.name not in NO_EVENTS} == {name}
    assert read_back(table, name, tmp_path) == []


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_of_a_file_is_guessed(name: str, tmp_path: Path) -> None:
    for path in write(park(), name, tmp_path):
        if path.name not in NO_EVENTS:
            assert guessed_format(path) == name


@pytest.mark.parametrize("name", [n for n, known in EVENT_FORMATS.items() if Held.ORIGIN in known.holds])
def test_the_origin_of_the_parser_is_kept(name: str, tmp_path: Path) -> None:
    assert {event.trained_on for event in read_back(park(), name, tmp_path)} == {"simulated"}


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_events_give_the_same_bytes(name: str) -> None:
    first, second = (EVENT_FORMATS[name].write(park()).files for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", FORMATS)
def test_a_path_that_is_no_text_is_written(name: str, tmp_path: Path) -> None:
    facts = VideoFacts(3.0, "/videos/\udce9 & b.mp4", 8000.0, 25.0)
    table = EventTable((VideoEvent("b", "Dog", "visual", 1.0, 2.0),), {"b": facts})
    assert len(read_back(table, name, tmp_path)) == 1


def test_the_page_names_every_format() -> None:
    assert [name for name in FORMATS if f"| `{name}` |" not in PAGE.read_text(encoding="utf-8")] == []
