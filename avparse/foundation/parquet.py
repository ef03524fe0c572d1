"""Reading Parquet tables."""

from __future__ import annotations

import os
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(path: str | os.PathLike[str]) -> pa.Table:
    """Read a whole table in this thread.

    ``pyarrow.parquet.read_table`` reads in threads of its own whatever it is told. One that lets go of the file when
    the program has ended aborts it, after all work is done ("terminate called without an active exception", exit code
    134). The file is opened once: another process may put a longer one in its place at any time.

    Raises:
        OSError: the file cannot be opened.
        pyarrow.ArrowException: it is no Parquet table, damaged, or has two columns of one name.
    """
    with open(path, "rb") as file:
        table = pq.ParquetFile(file, pre_buffer=False).read(use_threads=False)
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise pa.ArrowInvalid(f"column '{twice[0]}' is there twice")
    return table
