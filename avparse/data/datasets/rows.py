"""Rows of text tables, comma- or tab-separated, with the line number that an error names."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from typing import TextIO

from avparse.foundation.cells import unguarded
from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular

PathLike = str | os.PathLike[str]


def read_rows(
    path: PathLike, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row of a comma- or tab-separated UTF-8 table with a header line.

    A tab in the header line makes it tab-separated. Empty lines are skipped; optional columns that the file lacks read
    as empty.

    Raises:
        UserError: the file cannot be read, lacks a column or has one twice, or a row has more or fewer cells than it.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            yield from _cells(file, str(path), columns, optional)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a UTF-8 text table ({error}); save it as CSV again") from None


def seconds(cell: str, where: str) -> float:
    """Return a finite number of seconds.

    Raises:
        UserError: not a number, NaN or infinite; ``where`` names the place.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where} is '{cell[:40]}', not a finite number of seconds; mend the row")
    return value


def _cells(
    file: TextIO, path: str, columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    first = file.readline()
    delimiter = "\t" if "\t" in first else ","
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
        yield line, {name: unguarded(cells[at[name]]) if name in at else "" for name in (*columns, *optional)}
