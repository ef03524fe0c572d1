"""Tables of events with what real ones hold and with texts that formats stumble over, and files of them."""

from __future__ import annotations

from pathlib import Path

from avparse.data.event_formats import EVENT_FORMATS
from avparse.data.event_formats.event_format import Given
from avparse.data.event_formats.event_table import EventTable, VideoEvent, VideoFacts

HOSTILE = (
    "<b>&amp; <script>alert(1)</script>",
    "tab\there",
    "two\nlines",
    "two\r\nlines",
    "a --> b",
    "quote \" and ' here",
    '"quoted"',
    "\u202eright to left\u202c",
    "lone \ud800 surrogate",
    "=1+1",
    "-1",
    "@x",
    "'=x",
    "back\\x09slash \\ \\n",
    ";;comment",
    "<NA>",
    "{\\an8}top",
    "zero\x00 and bell\x07",
    "line\u2028separator",
    "not a character \ufffe",
    "name (0.5)",
    "name ()",
    "[seen] name",
    "NOTE video: x",
    "a/b/c",
    "[1,2]",
    "カラス 🐦",
    "semi;colon, comma",
    "NaN",
)


def write(table: EventTable, name: str, folder: Path) -> list[Path]:
    """Write a table in a format; return the paths, those of one video named by the number of the video."""
    numbers = {video: str(number) for number, video in enumerate(table.videos)}
    paths = []
    for file in EVENT_FORMATS[name].write(table).files:
        path = folder / (f"{numbers[file.video]}{file.name}" if file.video else file.name)
        path.write_bytes(file.content)
        paths.append(path)
    return paths


def read_back(table: EventTable, name: str, folder: Path) -> list[VideoEvent]:
    """Return the events of the files of :func:`write`, in order; the video of a file is the one that it was made of."""
    videos, found = list(table.videos), list[VideoEvent]()
    for path in write(table, name, folder):
        if path.name in ("durations.tsv", "labelling_config.xml"):
            continue
        number = path.name.partition(".")[0]
        given = Given(video=videos[int(number)]) if number.isdecimal() else Given()
        found += EVENT_FORMATS[name].read(path, given).events
    return in_order(found)


def in_order(events: list[VideoEvent] | tuple[VideoEvent, ...]) -> list[VideoEvent]:
    return sorted(events, key=lambda e: (e.video, e.modality, e.class_name, e.onset, e.offset))


def park() -> EventTable:
    """Two videos, one of which has events in both modalities that overlap."""
    events = (
        VideoEvent("park.mp4", "Dog", "audio", 0.5, 3.25, 0.9123, "simulated"),
        VideoEvent("park.mp4", "Dog", "visual", 2.0, 10.0, 0.5, "simulated"),
        VideoEvent("park.mp4", "Speech", "audio", 1.0, 4.001, 0.75, "simulated"),
        VideoEvent("street.mp4", "Car", "visual", 0.0, 0.04, 1.0, "simulated"),
    )
    facts = {
        "park.mp4": VideoFacts(10.0, "/videos/park.mp4", 44_100.0, 25.0),
        "street.mp4": VideoFacts(5.5, "/videos/street.mp4", 16_000.0, 29.97),
    }
    return EventTable(events, facts)


def hostile() -> EventTable:
    """A video for each hostile text, named by it, with one event of a class that is named by it, too."""
    events = tuple(VideoEvent(text, text, "visual", 1.0, 2.0, 0.5) for text in HOSTILE)
    return EventTable(events, {text: VideoFacts(3.0, frame_rate=25.0) for text in HOSTILE})
