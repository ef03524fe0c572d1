"""The columns of a table of refined labels on disk, Parquet or CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.parquet import read_parquet
from avparse.foundation.platform import open_regular
from avparse.foundation.reading import RECORDS, parse_json
from avparse.foundation.rows import read_rows, write_rows

SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("class", pa.string()),
        ("modality", pa.string()),
        ("given_label", pa.bool_()),
        ("suggested_label", pa.bool_()),
        ("target", pa.float32()),
        ("quality_score", pa.float32()),
        ("reason", pa.string()),
    ]
)
_VIDEOS = b"videos"  # in the metadata of a Parquet table: the ids of all videos
_PARQUET = b"PAR1"  # how such a file begins
_REPEATED = "suggested_label"  # says no more than target
_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def read_label_columns(path: str | os.PathLike[str]) -> tuple[pa.Table, list[str]]:
    """Read the columns of ``SCHEMA`` without missing values, and the ids of all videos as far as the file lists them.

    Raises:
        UserError: the file is not such a table, or a cell is missing or of another type; the row is named.
    """
    return _read_parquet(path) if _begins(path) == _PARQUET else (_read_csv(path), [])


def _begins(path: str | os.PathLike[str]) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(len(_PARQUET))
    except OSError as error:
        problem = f"cannot be read as a table of refined labels ({error.strerror})"
        raise UserError(f"{path}: {problem}; check the path") from None


def _read_parquet(path: str | os.PathLike[str]) -> tuple[pa.Table, list[str]]:
    try:
        table = read_parquet(path, SCHEMA.names)
        table.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path}: cannot be read as a table of refined labels ({reason}); check the path") from None
    for name in SCHEMA.names:
        if name not in table.column_names and name != _REPEATED:
            raise UserError(f"{path}: column '{name}' is missing; the table needs {', '.join(SCHEMA.names)}")
    try:
        videos = parse_json((table.schema.metadata or {}).get(_VIDEOS, b"[]").decode(), str(path), RECORDS)
        if not isinstance(videos, list) or not all(isinstance(video, str) for video in videos):
            raise ValueError("the metadata 'videos' is not a list of ids")
        if _REPEATED not in table.column_names:
            table = table.append_column(_REPEATED, pc.greater_equal(table["target"].cast(pa.float32()), 0.5))
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path}: not a table of refined labels ({reason}); write it again") from None
    for name in SCHEMA.names:
        if table[name].null_count:
            row = pc.index(table[name].is_null(), True).as_py() + 1
            raise UserError(f"{path}: row {row} has no '{name}'; fill it in or remove the row")
    return table, videos


def write_label_columns(path: str | os.PathLike[str], table: pa.Table, videos: Sequence[str]) -> None:
    """Write the columns of ``SCHEMA`` atomically: as CSV where ``path`` ends in ``.csv``, else as Parquet with all ids.

    Raises:
        UserError: the file cannot be written.
    """
    if Path(path).suffix.lower() == ".csv":
        write_rows(path, SCHEMA.names, ([_cell(value) for value in row.values()] for row in table.to_pylist()))
        return
    named = table.replace_schema_metadata({_VIDEOS: json.dumps(list(videos), ensure_ascii=False)})
    with atomic_file(path) as file:
        pq.write_table(named, file)


def _cell(value: str | bool | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:.9g}"  # nine digits name a float32


def _read_csv(path: str | os.PathLike[str]) -> pa.Table:
    columns: dict[str, list[str | bool | float]] = {name: [] for name in SCHEMA.names}
    needed = [name for name in SCHEMA.names if name not in (_REPEATED, "reason")]
    for line, row in read_rows(path, needed, optional=(_REPEATED, "reason")):
        where = f"{path}:{line}"
        for name in ("video", "class", "modality"):
            columns[name].append(row[name].strip())
        for name in ("target", "quality_score"):
            columns[name].append(_number(row[name], f"{where}: {name}"))
        columns["given_label"].append(_truth(row["given_label"], f"{where}: given_label"))
        derived = float(columns["target"][-1]) >= 0.5
        cell = row[_REPEATED]
        columns[_REPEATED].append(_truth(cell, f"{where}: {_REPEATED}") if cell.strip() else derived)
        columns["reason"].append(row["reason"])
    return pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()})


def _truth(cell: str, where: str) -> bool:
    value = _TRUTHS.get(cell.strip().lower())
    if value is None:
        raise UserError(f"{where} is '{cell[:40]}', neither true nor false; mend the row")
    return value


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UserError(f"{where} is '{cell[:40]}', not a number; mend the row") from None
