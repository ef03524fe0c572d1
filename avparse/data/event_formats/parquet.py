"""Parquet: the columns of ``events.csv``, class and modality as dictionaries, scores as single-precision numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from avparse.data.event_columns import EVENT_COLUMNS
from avparse.data.event_formats.event_format import EventFormat, Given, OutputFile, Written
from avparse.data.event_formats.event_table import EventTable, VideoEvent, checked
from avparse.data.made_up import made_up
from avparse.foundation.errors import UserError
from avparse.foundation.parquet import read_parquet

_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("video", _TEXT),
        ("class", _TEXT),
        ("modality", _TEXT),
        ("onset", pa.float64()),
        ("offset", pa.float64()),
        ("score", pa.float32()),  # no half precision: few programs read it
        ("trained_on", _TEXT),
    ]
)


def _write(table: EventTable) -> Written:
    rows = [(e.video, e.class_name, e.modality, e.onset, e.offset, e.score, e.trained_on) for e in table.events]
    columns = zip(*rows, strict=True) if rows else [()] * len(EVENT_COLUMNS)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), content)
    return Written((OutputFile("events.parquet", content.getvalue()),))


def _read(path: Path, given: Given) -> EventTable:
    try:
        table = read_parquet(path, EVENT_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a readable Parquet table ({told}); restore it or write it again") from None
    missing = [name for name in EVENT_COLUMNS[:5] if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: column '{missing[0]}' is missing; it needs {', '.join(EVENT_COLUMNS[:5])}")
    rows = zip(*(_values(table, name) for name in EVENT_COLUMNS), strict=True)
    return EventTable(tuple(_event(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)))


def _values(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist() if name in table.column_names else [None] * len(table)


def _event(row: tuple[Any, ...], where: str) -> VideoEvent:
    video, class_name, modality, onset, offset, score, trained_on = row
    for name, value, kind in zip(EVENT_COLUMNS, row, (str, str, str, float, float, float, str), strict=True):
        wanted = kind if kind is str else (int, float)
        if not isinstance(value, wanted) and not (value is None and name in EVENT_COLUMNS[5:]):
            raise UserError(f"{where}: {name} is {str(value)[:40]!r}, not a {'text' if kind is str else 'number'}")
    times = float(onset), float(offset)
    event = VideoEvent(video, class_name, modality, *times, score, made_up(trained_on or ""))
    return checked(event, where)


def _recognises(path: Path, head: str) -> bool:
    return head.startswith("PAR1")


FORMAT = EventFormat("Parquet", _write, _read, _recognises)
