"""DCASE tables of strong labels, one for each modality, with a table of durations beside them."""

from __future__ import annotations

from pathlib import Path

from avparse.data.event_formats.event_format import EventFormat, Given, Needed, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked, united
from avparse.data.event_formats.texts import decimal, modality_of
from avparse.data.event_formats.tsv import read_tsv, tsv
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.rows import seconds

_COLUMNS = ("filename", "onset", "offset", "event_label")
_DURATIONS = ("filename", "duration")


def _write(table: EventTable) -> Written:
    events = united(table.events, touching=True)
    files = []
    for modality in MODALITIES:
        rows = [(e.video, *map(decimal, e.milliseconds()), e.class_name) for e in events if e.modality == modality]
        files.append(OutputFile(f"{modality}.tsv", tsv(_COLUMNS, rows)))
    known = [(name, f.duration) for name, f in table.videos.items() if f.duration is not None]
    durations = tsv(_DURATIONS, [(name, f"{duration:.6f}") for name, duration in known])
    return Written((*files, OutputFile("durations.tsv", durations)))


def read_durations(path: Path) -> dict[str, float]:
    """Return the seconds of each video of a table ``filename, duration``.

    Raises:
        UserError: the file is no such table; file and line are named.
    """
    return {
        row["filename"]: seconds(row["duration"], f"{path}:{line}: duration")
        for line, row in read_tsv(path, _DURATIONS)
    }


def _read(path: Path, given: Given) -> EventTable:
    modality, events = modality_of(path, given), []
    for line, row in read_tsv(path, _COLUMNS):
        where = f"{path}:{line}"
        if not any(row[key].strip() for key in _COLUMNS[1:]):  # a file without events, as DCASE lists it
            continue
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        events.append(checked(VideoEvent(row["filename"], row["event_label"], modality, onset, offset), where))
    return EventTable(tuple(events))


def _recognises(path: Path, head: str) -> bool:
    return head.partition("\n")[0].split() == list(_COLUMNS)


FORMAT = EventFormat("DCASE", _write, _read, _recognises, frozenset(), frozenset({Needed.DURATION}))
