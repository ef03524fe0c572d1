"""Format of a feature store on disk, shared by the reader and the writer.

Layout of the folder::

    manifest.json      settings, counts of committed videos and rows, checksums of every block and file
        index.parquet      one row per video: id, split, first row, segments, duration, labels, source, annotated
        NAME.npy           one file per stream, [sum T, D]
        present.npy        [sum T, 2] audio and visual present in that segment
        truth.audio.npy    [sum T, C], and truth.visual.npy, if videos are annotated

The manifest counts the committed rows. Every other file may be longer (after an append that did not finish) but never
shorter, and its committed part never changes. A reader that reads the manifest first therefore finds a complete store.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_json
from avparse.foundation.npy import HEADER_BYTES, grown_header, read_header
from avparse.foundation.parquet import read_parquet
from avparse.foundation.reading import RECORDS, read_json
from avparse.foundation.settings import Settings

FORMAT = 1
MANIFEST, INDEX, PRESENT = "manifest.json", "index.parquet", "present.npy"
SPLITS = ("train", "val", "test", "")
INDEX_SCHEMA = pa.schema(
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


class StreamInfo(Settings):
    """One stream of features: its width, its type on disk and its extractor."""

    dimension: int = Field(gt=0)
    dtype: Literal["float32", "float16"] = "float32"
    extractor: str = ""


class BlockRecord(Settings):
    """One committed append: its videos and rows, and the SHA-256 of its part of every file."""

    videos: int = Field(gt=0)
    rows: int = Field(gt=0)
    sha256: dict[str, str]


class Manifest(Settings):
    """The content of ``manifest.json``."""

    format: Literal[1] = 1
    description: str = ""
    segment_seconds: float = Field(gt=0)
    vocabulary: tuple[str, ...]
    streams: dict[str, StreamInfo] = Field(min_length=1)
    truth: bool
    videos: int = Field(default=0, ge=0)
    rows: int = Field(default=0, ge=0)
    index_sha256: str = hashlib.sha256().hexdigest()
    blocks: tuple[BlockRecord, ...] = ()

    @field_validator("vocabulary")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return Vocabulary(names).names

    @field_validator("streams")
    @classmethod
    def _stream_names(cls, streams: dict[str, StreamInfo]) -> dict[str, StreamInfo]:
        for name in streams:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name == "present":
                raise ValueError(f"stream name '{name}' must be letters, digits, '_' or '-', and not 'present'")
        return streams

    @model_validator(mode="after")
    def _counts(self) -> Manifest:
        for count in ("videos", "rows"):
            if sum(getattr(block, count) for block in self.blocks) != getattr(self, count):
                raise ValueError(f"the {count} of the blocks do not add up to '{count}'")
        return self

    def digest(self) -> str:
        """Return the SHA-256 of the manifest, checksums included, which identifies the content of the store."""
        return hashlib.sha256(self.model_dump_json().encode("utf-8")).hexdigest()

    def columns(self) -> dict[str, Column]:
        """Return the array files of the store, each with the type and width of its rows."""
        files = {f"{name}.npy": Column(np.dtype(s.dtype), s.dimension) for name, s in self.streams.items()}
        files[PRESENT] = Column(np.dtype(bool), len(MODALITIES))
        if self.truth:
            files |= {truth_file(m): Column(np.dtype(bool), len(self.vocabulary)) for m in MODALITIES}
        return files


@dataclass(frozen=True)
class Column:
    """Type and width of the rows of one array file."""

    dtype: np.dtype[Any]
    width: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * self.width

    def header(self, rows: int) -> bytes:
        """Return the header of a file of ``rows`` rows; its length does not depend on ``rows``."""
        return grown_header(self.dtype, (rows, self.width))

    def end(self, rows: int) -> int:
        """Return the byte after row ``rows``."""
        return HEADER_BYTES + rows * self.row_bytes

    def check(self, path: Path, rows: int) -> None:
        """Check that ``path`` declares rows of this type and holds at least ``rows`` of them.

        Raises:
            UserError: missing, another shape or dtype, or shorter than committed.
        """
        expected = f"[{rows}, {self.width}] {self.dtype}"
        try:
            with open(path, "rb") as file:
                # An unfinished append may declare rows that never reached the disk: only committed ones are checked.
                header = read_header(file, path, rows=rows)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}), though the manifest lists it") from None
        found = f"{list(header.shape)} {header.dtype}"
        fits = len(header.shape) == 2 and header.shape[1] == self.width and header.dtype == self.dtype
        if not fits or header.fortran or header.start != HEADER_BYTES or header.shape[0] < rows:
            raise UserError(f"{path}: holds {found}, the manifest says {expected}; make the store again")


def truth_file(modality: str) -> str:
    """Return the name of the file of dense truth of a modality."""
    return f"truth.{modality}.npy"


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        UserError: no store there, not JSON, another format version, or an inconsistent field.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{folder}: no feature store there ({MANIFEST} is missing); give the folder of a store")
    raw = read_json(path, RECORDS, "restore it from a copy or make the store again")
    version = raw.get("format") if isinstance(raw, dict) else None
    if version != FORMAT:
        raise UserError(f"{path}: store format {version!r}, this avparse reads {FORMAT}; make the store again with it")
    seal = raw.pop("sha256", None)
    manifest = Manifest.read(raw, str(path))
    if manifest.digest() != seal:
        raise UserError(f"{path}: its checksum is wrong, so it was changed; restore it or make the store again")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically, with the checksum of its own content."""
    write_json(folder / MANIFEST, {**manifest.model_dump(mode="json"), "sha256": manifest.digest()})


def read_index(folder: Path, manifest: Manifest) -> pa.Table:
    """Read the committed rows of ``index.parquet`` and check their digest.

    Raises:
        UserError: missing, damaged, or not the rows that the manifest was written for.
    """
    path = folder / INDEX
    try:
        table = read_parquet(path, INDEX_SCHEMA.names)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path}: cannot be read ({reason}); make the store again") from None
    if table.schema.remove_metadata() != INDEX_SCHEMA or table.num_rows < manifest.videos:
        raise UserError(f"{path}: not the index of this store (columns or rows differ); make the store again")
    table = table.slice(0, manifest.videos)
    try:
        found = digest(index_lines(table)).hexdigest()
    except UnicodeDecodeError:  # damaged text that Parquet did not notice
        found = ""
    if found != manifest.index_sha256:
        raise UserError(f"{path}: checksum differs from the manifest; restore it or make the store again")
    return table


def index_lines(table: pa.Table) -> Iterator[bytes]:
    """Yield each index row in a canonical form, so that its digest does not depend on how Parquet packs it."""
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        yield json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def digest(lines: Iterator[bytes], start: hashlib._Hash | None = None) -> hashlib._Hash:
    """Return the SHA-256 of ``lines``, continued from a copy of ``start``."""
    found = start.copy() if start is not None else hashlib.sha256()
    for line in lines:
        found.update(line)
    return found
