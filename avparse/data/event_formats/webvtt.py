"""WebVTT subtitles: a cue for each event, which names what is heard or seen; cues may overlap."""

from __future__ import annotations

import html
import re
from pathlib import Path

from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, origin
from avparse.data.event_formats.subtitles import read_cues
from avparse.data.event_formats.texts import clock, cue
from avparse.data.made_up import made_up, warning
from avparse.foundation.cells import from_line, in_line
from avparse.foundation.reading import read_text

_VIDEO, _ORIGIN = "NOTE video: ", "NOTE trained_on: "


def _write(table: EventTable) -> Written:
    files = []
    for video, events in table.by_video().items():
        blocks = ["WEBVTT\n", f"{_VIDEO}{_escaped(video)}\n"]
        kind = origin(events)
        if kind:
            blocks.append(f"{_ORIGIN}{kind}\n{warning(kind)}\n")
        for event in events:
            times = " --> ".join(clock(time, ".") for time in event.milliseconds())
            blocks.append(f"{times}\n{_escaped(cue(event))}\n")
        files.append(OutputFile(".vtt", "\n".join(blocks).encode("utf-8"), video))
    return Written(tuple(files))


def _escaped(text: str) -> str:
    """Return a text without markup, ends of lines and the arrow between times."""
    return html.escape(in_line(text), quote=False)


def _unescaped(text: str) -> str:
    """Return the text of a cue without the tags that other programs put around it."""
    return from_line(html.unescape(re.sub(r"<[^>]*>", "", text)))


def _read(path: Path, given: Given) -> EventTable:
    text = read_text(path, mend="save it as UTF-8 subtitles").replace("\r\n", "\n")
    noted = {mark: re.search(rf"^{mark}(.*)$", text, re.MULTILINE) for mark in (_VIDEO, _ORIGIN)}
    video, kind = noted[_VIDEO], noted[_ORIGIN]
    name = given.video or (_unescaped(video[1]) if video else path.stem)
    return EventTable(read_cues(text, path, given, name, _unescaped, made_up(kind[1] if kind else "")))


def _recognises(path: Path, head: str) -> bool:
    return head.startswith("WEBVTT")


FORMAT = EventFormat("WebVTT", _write, _read, _recognises, frozenset(Held) - {Held.PRECISION})
