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
        footer = pq.ParquetFile(file, pre_buffer=False, **limits)
        schema = footer.schema_arrow
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
    if (
        sum(_text_bytes(chunk) for column in table.columns for chunk in column.chunks)
        > _TEXT_BYTES + _TEXT_BYTES_A_BYTE * size
    ):
        raise pa.ArrowInvalid("its texts are longer than those of such a table can be")
    return table.cast(pa.schema([schema.field(name) for name in named], schema.metadata))


def _check_declared(footer: pq.FileMetaData, size: int) -> None:
    """Refuse a footer that declares more values, or longer ones, than a file of ``size`` bytes can sensibly hold."""
    groups = [footer.row_group(g) for g in range(footer.num_row_groups)]
    for number in range(footer.num_columns):
        chunks = [group.column(number) for group in groups]
        values, stored = sum(c.num_values for c in chunks), sum(c.total_uncompressed_size for c in chunks)
        if max(values, footer.num_rows) > _VALUES + _VALUES_A_BYTE * size:
            raise pa.ArrowInvalid(f"it declares {max(values, footer.num_rows)} rows in {size} bytes")
        if stored > _COLUMN_BYTES + _COLUMN_BYTES_A_VALUE * values:
            raise pa.ArrowInvalid(f"it declares {stored} bytes of {values} values in one column")


def _text_bytes(values: pa.Array) -> int:
    """Return the number of bytes of a column's texts after decoding of dictionaries."""
    while isinstance(values, pa.ListArray | pa.LargeListArray):
        values = values.flatten()
    if not isinstance(values, pa.DictionaryArray):
        return 0
    return int(pc.sum(pc.binary_length(values.dictionary).take(values.indices)).as_py() or 0)
