"""Stores of format 1, in which features and annotations were one: read as they are, and converted before writing.

``index.parquet`` had the annotations of a video beside the rows of its features, and ``truth.audio.npy`` and
``truth.visual.npy`` ``[sum T, C]`` the dense truth. The files of features have stayed what they are.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avparse.data.store.annotations import StoredAnnotations, annotation_rows, with_truth
from avparse.data.store.format import (
    INDEX,
    INDEX_SCHEMA,
    BlockRecord,
    Column,
    Manifest,
    Sealed,
    StreamInfo,
    canonical_lines,
    check_digest,
    digest,
    index_lines,
    read_sealed,
    read_table,
    write_manifest,
)
from avparse.data.store.truth import runs_column
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.npy import HEADER_BYTES

_INDEX = "index.parquet"
_SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("split", pa.string()),
        ("first_row", pa.int64()),
        ("segments", pa.int64()),
        ("duration", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("source", pa.string()),
        ("annotated", pa.bool_()),
    ]
)


class _Manifest(Sealed):
    format: Literal[1] = 1
    description: str = ""
    segment_seconds: float
    vocabulary: tuple[str, ...]
    streams: dict[str, StreamInfo]
    truth: bool
    videos: int
    rows: int
    index_sha256: str
    blocks: tuple[BlockRecord, ...] = ()


def read(folder: Path, raw: Any, path: Path) -> tuple[Manifest, pa.Table, StoredAnnotations, str]:
    """Read a store of format 1 as one of format 2.

    Args:
        folder: folder of the store.
        raw: content of ``manifest.json``.
        path: path of ``manifest.json``.

    Returns:
        Manifest and index of the features, the annotations, and the digest that was the version of both.

    Raises:
        UserError: a file is missing, damaged, or not as the manifest says; it is named.
    """
    old = read_sealed(_Manifest, raw, path)
    vocabulary = Vocabulary(old.vocabulary)
    table = read_table(folder / _INDEX, _SCHEMA, old.videos)
    check_digest(folder / _INDEX, canonical_lines(table), old.index_sha256)
    index = _index(table)
    values = old.model_dump(exclude={"format", "vocabulary", "truth"}) | {
        "index_sha256": digest(index_lines(index)).hexdigest(),
        "blocks": [_without_truth(block) for block in old.blocks],
    }
    manifest = Manifest.read(values, str(path))
    videos, splits, labels = (table[name].to_pylist() for name in ("video", "split", "labels"))
    rows = annotation_rows(videos, splits, labels, table["annotated"].to_numpy())
    if old.truth and old.videos:
        for modality in MODALITIES:
            truth = _truth(folder / f"truth.{modality}.npy", old)
            rows = with_truth(rows, modality, runs_column(truth, table["segments"].to_pylist()))
    return manifest, index, StoredAnnotations.of(vocabulary, old.truth, rows), old.digest()


def convert(folder: Path, manifest: Manifest, index: pa.Table, annotations: StoredAnnotations) -> StoredAnnotations:
    """Write what was read of a store of format 1 as format 2; the manifest, which comes last, decides which it is."""
    written = annotations.write(folder)
    with atomic_file(folder / INDEX) as file:
        pq.write_table(index, file)
    write_manifest(folder, manifest)
    return written


def remove(folder: Path) -> None:
    """Remove what only format 1 has."""
    for path in (folder / _INDEX, *(folder / f"truth.{modality}.npy" for modality in MODALITIES)):
        with contextlib.suppress(OSError):
            path.unlink()


def _index(table: pa.Table) -> pa.Table:
    unknown = np.zeros(table.num_rows, dtype=np.int64)
    columns = [table[name] for name in ("video", "first_row", "segments", "duration", "source")]
    stamps = [pa.array(unknown), pa.array([""] * table.num_rows, pa.string()), pa.array(unknown)]
    return pa.Table.from_arrays([*columns, *stamps], schema=INDEX_SCHEMA)


def _without_truth(block: BlockRecord) -> BlockRecord:
    return block.model_copy(update={"sha256": {n: s for n, s in block.sha256.items() if not n.startswith("truth.")}})


def _truth(path: Path, old: _Manifest) -> BoolArray:
    """Return the dense truth of a modality ``[sum T, C]`` after checking every block of it."""
    column = Column(np.dtype(bool), len(old.vocabulary))
    column.check(path, old.rows)
    stored = np.memmap(path, np.uint8, "r", HEADER_BYTES, (old.rows, column.width))
    row = 0
    for block in old.blocks:
        piece = np.ascontiguousarray(stored[row : row + block.rows])
        if hashlib.sha256(piece.data).hexdigest() != block.sha256.get(path.name):
            raise UserError(f"{path}: wrong checksum in rows {row} to {row + block.rows - 1}; make the store again")
        row += block.rows
    truth: BoolArray = stored != 0
    return truth
