"""What ``export`` and ``import events`` are given: folders of results, JSON timelines, and files of events."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avparse.app.output_index import INDEX
from avparse.app.timeline_files import timeline_files
from avparse.data.event_formats.event_format import Given, Needed
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts
from avparse.data.event_formats.reading import read_events
from avparse.data.timeline import Timeline
from avparse.foundation.cells import path_cell
from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular
from avparse.media.decoding.opened import probe
from avparse.media.decoding.problems import MediaError

_log = logging.getLogger(__name__)
_HEAD = 4096  # bytes at the beginning of a JSON file that tell whether it is a timeline


@dataclass(frozen=True)
class EventInputs:
    """The events of all inputs.

    Attributes:
        table: events and facts of the videos.
        sources: origin of each video over several calls, by its name: the path of its file, or the path of the
            input that names it with that name.
    """

    table: EventTable
    sources: Mapping[str, str]


def read_inputs(inputs: Sequence[Path], name: str | None = None, given: Given | None = None) -> EventInputs:
    """Read the events of inputs.

    Args:
        inputs: paths of folders that ``parse`` wrote, of JSON timelines, and of files of events.
        name: name of the format of the files of events, None to guess it.
        given: facts of the files of events besides their content, None for none.

    Raises:
        UserError: an input cannot be read or is damaged; file, line and field are named.
    """
    every = [one for path in dict.fromkeys(inputs) for one in _inputs(path)]
    timelines: list[Timeline] = []
    media, sources = dict[str, str](), dict[str, str]()
    for result in {one.path: one for one in every if isinstance(one, _Result)}.values():
        timeline = _named(result, sources)
        timelines.append(timeline)
        sources[timeline.video] = result.path
        media |= {timeline.video: result.media} if result.media else {}
    tables = [EventTable.of(timelines, media)]
    for found in every:
        if not isinstance(found, _Result):
            table = read_events(found, name, given)
            for note in table.notes:
                _log.warning("%s", note)
            tables.append(table)
            sources |= {video: f"{path_cell(found)}: {video}" for video in table.videos if video not in sources}
    return EventInputs(_joined(tables), sources)


def with_facts(inputs: EventInputs, needs: Iterable[Needed], durations: Mapping[str, float]) -> EventInputs:
    """Return the inputs with facts of the videos that formats need: from a table, and from the files themselves.

    Args:
        inputs: inputs whose videos are to be looked at, where their files are known and there.
        needs: facts that the formats write.
        durations: seconds of videos by their names, which count before all else.
    """
    looked = bool({Needed.SAMPLE_RATE, Needed.FRAME_RATE} & set(needs))
    facts: dict[str, VideoFacts] = {}
    for video, known in inputs.table.videos.items():
        known = replace(known, duration=durations.get(video, known.duration))
        if looked and known.media and os.path.isfile(known.media):
            known = _probed(known)
        facts[video] = known
    return replace(inputs, table=inputs.table.with_facts(facts))


@dataclass(frozen=True)
class _Result:
    """A timeline, what it is known by, and the path of its video, empty where unknown."""

    timeline: Timeline
    path: str
    media: str


def _inputs(path: Path) -> Iterable[_Result | Path]:
    """Return the timelines of a folder or a JSON file, or the path itself for a file of events.

    Raises:
        UserError: there is nothing at the path, a folder is not one of results, or a timeline is damaged.
    """
    if path.is_dir():
        if not (path / INDEX).is_file():
            raise UserError(f"{path}: no folder of results ({INDEX} is missing); give the OUT of 'avparse parse'")
    elif not _is_timeline(path):
        return [path]
    return [
        _Result(Timeline.load(file), path_cell(source or file), str(source or ""))
        for file, source in timeline_files(path).items()
    ]


def _is_timeline(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    return head.lstrip().startswith(b"{") and b'"segment_seconds"' in head


def _named(found: _Result, taken: Mapping[str, str]) -> Timeline:
    """Return the timeline under a name that no other video has: its own, that of its file, or one with a number."""
    names = itertools.chain((found.timeline.video, found.path), (f"{found.path} ({n})" for n in itertools.count(2)))
    return replace(found.timeline, video=next(name for name in names if name not in taken))


def _joined(tables: Sequence[EventTable]) -> EventTable:
    events: list[VideoEvent] = [event for table in tables for event in table.events]
    videos: dict[str, VideoFacts] = {}
    for table in tables:
        videos |= {name: facts for name, facts in table.videos.items() if name not in videos}
    return EventTable(tuple(events), videos)


def _probed(known: VideoFacts) -> VideoFacts:
    try:
        info = probe(known.media)
    except MediaError as error:
        _log.warning("%s", error)
        return known
    return replace(known, sample_rate=info.sample_rate or None, frame_rate=info.frame_rate or None)
