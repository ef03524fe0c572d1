"""RTTM: one line an event, the modality in the channel field."""

from __future__ import annotations

from pathlib import Path

from avparse.data.event_formats.csv import read_score
from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.event_formats.texts import decimal
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.cells import from_line, in_line
from avparse.foundation.errors import UserError
from avparse.foundation.reading import read_text
from avparse.foundation.rows import seconds

_CHANNELS = {"1": "audio", "2": "visual"}  # the standard wants numbers
_NOTHING = "<NA>"


def _write(table: EventTable) -> Written:
    lines = [_line(event) for event in table.events]
    blanks = sum(len(e.video.split()) > 1 or len(e.class_name.split()) > 1 for e in table.events)
    notes = (r"blanks are field separators there: those in names are written as \x20",) if blanks else ()
    return Written((OutputFile("events.rttm", "".join(lines).encode("utf-8")),), notes)


def _line(event: VideoEvent) -> str:
    onset, offset = event.milliseconds()
    channel = next(number for number, modality in _CHANNELS.items() if modality == event.modality)
    score = _NOTHING if event.score is None else f"{event.score:.4f}"
    fields = [_field(event.video), channel, decimal(onset), decimal(offset - onset), _NOTHING, _NOTHING]
    return " ".join(["SPEAKER", *fields, _field(event.class_name), score, _NOTHING]) + "\n"


def _field(text: str) -> str:
    """Return a text without what separates, quotes or stands for nothing."""
    return in_line(text, r'\s";<')


def _read(path: Path, given: Given) -> EventTable:
    events = []
    for number, line in enumerate(read_text(path, mend="save it as UTF-8 RTTM").split("\n"), 1):
        fields, where = line.split(), f"{path}:{number}"
        if not fields or fields[0].startswith(";;") or fields[0] == "SPKR-INFO":
            continue
        if len(fields) not in (9, 10):
            raise UserError(f"{where}: {len(fields)} fields, RTTM has ten with blanks between; mend the line")
        modality = given.modality or _CHANNELS.get(fields[2], fields[2])
        if modality not in MODALITIES:
            told = f"{where}: channel '{fields[2]}' is neither 1 (heard) nor 2 (seen)"
            raise UserError(f"{told}; mend it, or give --modality")
        onset, length = seconds(fields[3], f"{where}: onset"), seconds(fields[4], f"{where}: duration")
        score = read_score("" if fields[8] == _NOTHING else fields[8], f"{where}: confidence")
        # Microseconds are added as whole numbers: 0.1 + 0.2 is not 0.3.
        offset = (round(1e6 * onset) + round(1e6 * length)) / 1e6
        event = VideoEvent(from_line(fields[1]), from_line(fields[7]), modality, onset, offset, score)
        events.append(checked(event, where))
    return EventTable(tuple(events))


def _recognises(path: Path, head: str) -> bool:
    lines = [line for line in head.split("\n")[:20] if line.strip() and not line.startswith(";;")]
    if not head.strip():
        return path.suffix.lower() == ".rttm"
    return bool(lines) and lines[0].startswith(("SPEAKER ", "SPKR-INFO ")) and len(lines[0].split()) in (9, 10)


FORMAT = EventFormat("RTTM", _write, _read, _recognises, frozenset(Held) - {Held.PRECISION, Held.ORIGIN})
