"""Tables that are small on disk and large in memory are refused by what they declare."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avparse.foundation.parquet import read_parquet


def _equal_rows(path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array(["x"] * 2_000_000)}), path)


def _long_text(path: Path) -> None:
    pq.write_table(pa.table({"a": ["x" * (40 << 20), "y"]}), path)


def _one_text_in_many_rows(path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * (1 << 20)])
    pq.write_table(pa.table({"a": texts}), path, compression="zstd", store_schema=False)


def _one_text_in_many_lists(path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * (1 << 20)])
    lists = pa.ListArray.from_arrays(pa.array(range(0, 20_001, 100), pa.int32()), texts)
    pq.write_table(pa.table({"a": lists}), path, compression="zstd", store_schema=False)


def _long_lists(path: Path) -> None:
    lists = pa.ListArray.from_arrays(pa.array([0, 2_000_000], pa.int32()), pa.array([1] * 2_000_000))
    pq.write_table(pa.table({"a": lists}), path, compression="zstd")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_equal_rows, "declares 2000000 rows in"),
        (_long_text, "bytes of 2 rows"),
        (_one_text_in_many_rows, "texts are longer"),
        (_one_text_in_many_lists, "texts are longer"),
        (_long_lists, "lists 2000000 values in"),
    ],
)
def test_a_table_larger_than_its_file_can_sensibly_hold_is_refused(make, problem: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "t.parquet"
    make(path)
    before = pa.total_allocated_bytes()
    with pytest.raises(pa.ArrowInvalid, match=problem):
        read_parquet(path, ["a"])
    assert pa.total_allocated_bytes() - before < 100e6


def test_a_table_is_read_as_it_was_written_whatever_its_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a": ["x", None, "x"],
            "labels": pa.array([["u", "v"], [], None], pa.list_(pa.string())),
            "n": [1, 2, 3],
            "category": pa.array(["p", "q", "p"]).dictionary_encode(),
            "left": [b"1", b"2", b"3"],
        }
    ).replace_schema_metadata({"videos": "[]"})
    pq.write_table(table, tmp_path / "t.parquet")
    found = read_parquet(tmp_path / "t.parquet", ["labels", "a", "n", "category", "absent"])
    assert found.equals(table.drop_columns("left"))
    assert found.schema.metadata == table.schema.metadata
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(pa.ArrowInvalid, match="column 'a' occurs twice"):
        read_parquet(tmp_path / "twice.parquet", ["a"])


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.parquet")
    with pytest.raises(OSError, match="a pipe or a device"):
        read_parquet(tmp_path / "t.parquet", ["a"])
