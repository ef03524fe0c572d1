"""The table ``events.csv`` of ``parse``: commas, a header line, one row an event."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from avparse.data.event_columns import EVENT_COLUMNS, NEEDED_COLUMNS
from avparse.data.event_formats.event_format import EventFormat, Given, Held, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.made_up import made_up
from avparse.foundation.cells import guarded, without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.rows import read_rows, seconds


def event_row(event: VideoEvent) -> tuple[str, ...]:
    """Return the cells of an event: seconds with three decimals, the score with four, or empty where unknown."""
    score = "" if event.score is None else f"{event.score:.4f}"
    times = f"{event.onset:.3f}", f"{event.offset:.3f}"
    return event.video, event.class_name, event.modality, *times, score, event.trained_on


def read_score(cell: str, where: str) -> float | None:
    """Return the score in a cell, None for an empty one.

    Raises:
        UserError: the cell holds anything but a number; ``where`` names the place.
    """
    try:
        return float(cell) if cell.strip() else None
    except ValueError:
        raise UserError(f"{where} is '{cell[:40]}', not a number; mend the row") from None


def _write(table: EventTable) -> Written:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EVENT_COLUMNS)
    writer.writerows([guarded(without_controls(cell)) for cell in event_row(event)] for event in table.events)
    return Written((OutputFile("events.csv", text.getvalue().encode("utf-8")),))


def _read(path: Path, given: Given) -> EventTable:
    events = []
    for line, row in read_rows(path, NEEDED_COLUMNS, EVENT_COLUMNS[len(NEEDED_COLUMNS) :]):
        where = f"{path}:{line}"
        event = VideoEvent(
            row["video"],
            row["class"],
            row["modality"].strip(),
            seconds(row["onset"], f"{where}: onset"),
            seconds(row["offset"], f"{where}: offset"),
            read_score(row["score"], f"{where}: score"),
            made_up(row["trained_on"]),
        )
        events.append(checked(event, where))
    return EventTable(tuple(events))


def _recognises(path: Path, head: str) -> bool:
    first = head.partition("\n")[0]
    return not first.startswith("{") and all(name in first for name in NEEDED_COLUMNS)


FORMAT = EventFormat("events.csv", _write, _read, _recognises, frozenset(Held) - {Held.PRECISION})
