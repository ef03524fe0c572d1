"""Rows of text tables: read with the line number that an error names, and written atomically."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from avparse.foundation.cells import guarded as guard
from avparse.foundation.cells import unguarded, without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.platform import open_regular

PathLike = str | os.PathLike[str]


def read_rows(
    path: PathLike, columns: Sequence[str], optional: Sequence[str] = (), *, guarded: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row of a UTF-8 table with a header line.

    Cells are separated by tabs, semicolons or commas, whichever the header line has most of. Empty lines are skipped.

    Args:
        path: path of the table.
        columns: names of the columns that the table must have.
        optional: names of columns that read as empty where the table lacks them.
        guarded: whether an apostrophe before what a spreadsheet would compute is no part of the text.

    Raises:
        UserError: the file cannot be read, lacks a column or has one twice, or a row has more or fewer cells than it.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            for line, row in _cells(file, str(path), columns, optional):
                yield line, {name: unguarded(cell) for name, cell in row.items()} if guarded else row
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a UTF-8 text table ({error}); save it as CSV again") from None


def seconds(cell: str, where: str) -> float:
    """Return a finite number of seconds; a decimal comma is read as well.

    Raises:
        UserError: not a number, NaN or infinite; ``where`` names the place.
    """
    try:
        value = float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where} is '{cell[:40]}', not a finite number of seconds; mend the row")
    return value


def write_rows(path: PathLike, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table (UTF-8, commas, a header line) atomically.

    A text that a spreadsheet would compute has an apostrophe before it, and control characters are escaped.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns)
        table.writerows([guard(without_controls(cell)) for cell in row] for row in rows)
        text.flush()
        text.detach()


def _cells(
    file: TextIO, path: str, columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    first = file.readline()
    delimiter = max("\t;,", key=first.count) if any(map(first.count, "\t;,")) else ","
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    for name in (*columns, *optional):
        found = header.count(name)
        if found > 1 or (name in columns and not found):
            problem = "occurs twice" if found else "is missing"
            raise UserError(f"{path}:1: column '{name}' {problem}; the header needs {', '.join(columns)}")
    at = {name: header.index(name) for name in (*columns, *optional) if name in header}
    reader = csv.reader(file, delimiter=delimiter)
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num + 1
        if len(cells) != len(header):
            raise UserError(f"{path}:{line}: {len(cells)} cells, the header has {len(header)}; mend the row")
        yield line, {name: cells[at[name]] if name in at else "" for name in (*columns, *optional)}
