"""SubRip subtitles: a numbered cue for each event, which names what is heard or seen."""

from __future__ import annotations

import re
from pathlib import Path

from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent
from avparse.data.event_formats.subtitles import read_cues
from avparse.data.event_formats.texts import clock, cue
from avparse.foundation.cells import from_line, in_line
from avparse.foundation.reading import read_text


def _write(table: EventTable) -> Written:
    files = []
    for video, events in table.by_video().items():
        cues = [_cue(number, event) for number, event in enumerate(events, 1)]
        files.append(OutputFile(".srt", "\n".join(cues).encode("utf-8"), video))
    return Written(tuple(files))


def _cue(number: int, event: VideoEvent) -> str:
    times = " --> ".join(clock(time, ",") for time in event.milliseconds())
    # Players take < and { for the beginning of markup, for which the format has no escape.
    text = in_line(cue(event), "<{").replace("-->", r"--\x3e")
    return f"{number}\n{times}\n{text}\n"


def _read(path: Path, given: Given) -> EventTable:
    text = read_text(path, mend="save it as UTF-8 subtitles")
    return EventTable(read_cues(text, path, given, given.video or path.stem, from_line))


def _recognises(path: Path, head: str) -> bool:
    return re.match(r"\s*\d+\s*\n\d+:\d\d:\d\d,\d{3} --> ", head) is not None or (
        path.suffix.lower() == ".srt" and not head.strip()
    )


FORMAT = EventFormat("SubRip (SRT)", _write, _read, _recognises, frozenset(Held) - {Held.PRECISION, Held.ORIGIN})
