"""Lines of cells with tabs between, without quotes, for programs that know none; shared by several formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from avparse.foundation.cells import from_line, in_line
from avparse.foundation.rows import read_rows


def tsv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a table; tabs, ends of lines and quotes in a cell are written as escapes."""
    lines = ["\t".join(in_line(cell, '"') for cell in row) + "\n" for row in (header, *rows)]
    return "".join(lines).encode("utf-8")


def read_tsv(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row of a table, with escapes turned back.

    Raises:
        UserError: the table cannot be read, as for :func:`avparse.foundation.rows.read_rows`.
    """
    for line, row in read_rows(path, columns, optional, guarded=False):
        yield line, {name: from_line(cell) for name, cell in row.items()}
