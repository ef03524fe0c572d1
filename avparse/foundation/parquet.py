"""Reading of Parquet tables with limits, because a table may be a thousand times larger in memory than on disk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from avparse.foundation.platform import open_regular

# Limits of a table in total and per byte on disk. Tables of labels have below one value per byte, equal rows 150.
_VALUES, _VALUES_A_BYTE = 200_000, 8
_TEXT_BYTES, _TEXT_BYTES_A_BYTE = 64 << 20, 100
_COLUMN_BYTES, _COLUMN_BYTES_A_VALUE = 16 << 20, 512
_FOOTER_BYTES, _FOOTER_ENTRIES = 64 << 20, 1_000_000


def read_parquet(path: str | os.PathLike[str], columns: Iterable[str]) -> pa.Table:
    """Read the named columns that a table has, in this thread, after checking its declared sizes.

    ``pyarrow.parquet.read_table`` always starts threads of its own. One of them that closes the file after the program
    has ended aborts the process although its results are complete ("terminate called without an active exception", exit
    code 134). The file is opened only once, because another process may replace it by a longer one at any time.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        pyarrow.ArrowException: the file is not a Parquet table, is damaged, has two columns of one name, or holds more
            rows or longer texts than a file of its size can sensibly hold.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        limits = {"thrift_string_size_limit": _FOOTER_BYTES, "thrift_container_size_limit": _FOOTER_ENTRIES}
        try:
            footer = pq.ParquetFile(file, pre_buffer=False, **limits)
            schema = footer.schema_arrow
        except UnicodeDecodeError:
            raise pa.ArrowInvalid("its footer is damaged") from None
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise pa.ArrowInvalid(f"column '{twice[0]}' occurs twice")
        _check_declared(footer.metadata, size)
        texts = [column.path for column in footer.schema if column.physical_type == "BYTE_ARRAY"]
        file.seek(0)
        # Texts are read as dictionaries, in which one long text in many rows is stored once.
        source = pq.ParquetFile(file, pre_buffer=False, read_dictionary=texts, metadata=footer.metadata)
        wanted = set(columns)
        named = [name for name in schema.names if name in wanted]
        table = source.read(columns=named, use_threads=False)
        table.validate(full=True)  # a damaged index into a dictionary would be followed out of its memory
    if (
        sum(_text_bytes(chunk) for column in table.columns for chunk in column.chunks)
        > _TEXT_BYTES + _TEXT_BYTES_A_BYTE * size
    ):
        raise pa.ArrowInvalid("its texts are longer than those of such a table can be")
    listed = max((_listed(chunk) for column in table.columns for chunk in column.chunks), default=0)
    if listed > _VALUES + _VALUES_A_BYTE * size:
        raise pa.ArrowInvalid(f"it lists {listed} values in {size} bytes")
    return table.cast(pa.schema([schema.field(name) for name in named], schema.metadata))


def _check_declared(footer: pq.FileMetaData, size: int) -> None:
    """Refuse a footer that declares more rows, or longer ones, than a file of ``size`` bytes can sensibly hold.

    Only fields of the row groups are read: pyarrow aborts the program over those of a damaged column.
    """
    rows, columns = footer.num_rows, footer.num_columns
    if rows > _VALUES + _VALUES_A_BYTE * size:
        raise pa.ArrowInvalid(f"it declares {rows} rows in {size} bytes")
    stored = sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))
    if stored > columns * (_COLUMN_BYTES + _COLUMN_BYTES_A_VALUE * rows):
        raise pa.ArrowInvalid(f"it declares {stored} bytes of {rows} rows")


def _listed(values: pa.Array) -> int:
    """Return the number of values in the lists of a column, 0 for a column of single values."""
    return len(values.flatten()) if isinstance(values, pa.ListArray | pa.LargeListArray) else 0


def _text_bytes(values: pa.Array) -> int:
    """Return the number of bytes of a column's texts after decoding of dictionaries."""
    while isinstance(values, pa.ListArray | pa.LargeListArray):
        values = values.flatten()
    if not isinstance(values, pa.DictionaryArray):
        return 0
    return int(pc.sum(pc.binary_length(values.dictionary).take(values.indices)).as_py() or 0)
