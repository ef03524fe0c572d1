"""Format of a feature store on disk, shared by the reader and the writer.

Layout of the folder::

    manifest.json                streams, counts of committed rows, checksums of every block and file
        features.parquet         one row per video: id, first row, segments, duration, source and its stamp
        NAME.npy                 one file per stream, [sum T, D]
        present.npy              [sum T, 2] audio and visual present in that segment
    annotations.json             classes, counts, checksum of the file of annotations (see annotations.py)
        annotations-SHA.parquet  one row per video: id, split, weak labels, dense truth

Features and annotations are two things with two versions; the videos of the store are those that have both. A video
that was appended again has several rows, of which the last counts.

The manifest counts the committed rows. Every other file of features may be longer (after an append that did not finish)
but never shorter, and its committed part never changes. A reader that reads the manifest first therefore finds complete
features. Stores of format 1, where both were one, are read by format_1.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_json
from avparse.foundation.npy import HEADER_BYTES, grown_header, read_header
from avparse.foundation.parquet import read_parquet
from avparse.foundation.reading import RECORDS, read_json
from avparse.foundation.settings import Settings
from avparse.media.card import Card
from avparse.media.decoding.views import Modality

FORMAT = 2
MANIFEST, INDEX, PRESENT = "manifest.json", "features.parquet", "present.npy"
SPLITS = ("train", "val", "test", "")
INDEX_SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("first_row", pa.int64()),
        ("segments", pa.int64()),
        ("duration", pa.float64()),
        ("source", pa.string()),
        ("source_bytes", pa.int64()),
        ("source_sha256", pa.string()),
        ("source_modified_ns", pa.int64()),  # only a short cut to find changed files, and no part of the data's version
    ]
)
_Content = TypeVar("_Content", bound="Sealed")


class StreamInfo(Settings):
    """One stream of features: its width, its type on disk, its extractor and its card, where they are known."""

    dimension: int = Field(gt=0)
    dtype: Literal["float32", "float16"] = "float32"
    extractor: str = ""
    card: Card | None = None

    @property
    def modality(self) -> Modality | None:
        """The modality that the card tells by what it says of sound or pictures; None where there is no such card."""
        if self.card is None or (self.card.sample_rate is None) == (self.card.size is None):
            return None
        return "visual" if self.card.sample_rate is None else "audio"

    @model_serializer(mode="wrap")
    def _without_unknown(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an unknown card out, so that the checksums of earlier stores hold."""
        return {name: value for name, value in write(self).items() if name != "card" or value is not None}

    def differences(self, other: StreamInfo) -> list[str]:
        """Return what keeps rows of ``other`` out of a store of this stream; cards count where both are known."""
        names = [name for name in type(self).model_fields if name != "card"]
        found = [
            f"{name} {getattr(other, name)} in place of {getattr(self, name)}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]
        return found + ([] if self.card is None or other.card is None else self.card.differences(other.card))


class BlockRecord(Settings):
    """One committed append: its videos and rows, and the SHA-256 of its part of every file."""

    videos: int = Field(gt=0)
    rows: int = Field(gt=0)
    sha256: dict[str, str]


class Sealed(Settings):
    """The content of a JSON file of a store, which carries a checksum of itself."""

    def digest(self) -> str:
        """Return the SHA-256 of the content, the checksums of other files included."""
        return hashlib.sha256(self.model_dump_json().encode("utf-8")).hexdigest()


class Manifest(Sealed):
    """The content of ``manifest.json``, which describes the features."""

    format: Literal[2] = 2
    description: str = ""
    segment_seconds: float = Field(gt=0)
    streams: dict[str, StreamInfo] = Field(min_length=1)
    videos: int = Field(default=0, ge=0)
    rows: int = Field(default=0, ge=0)
    index_sha256: str = hashlib.sha256().hexdigest()
    blocks: tuple[BlockRecord, ...] = ()

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

    def columns(self) -> dict[str, Column]:
        """Return the array files of the store, each with the type and width of its rows."""
        files = {f"{name}.npy": Column(np.dtype(s.dtype), s.dimension) for name, s in self.streams.items()}
        files[PRESENT] = Column(np.dtype(bool), len(MODALITIES))
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


def read_json_of(folder: Path) -> Any:
    """Return the content of ``manifest.json`` as it stands there.

    Raises:
        UserError: no store there, or not JSON.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{folder}: no feature store there ({MANIFEST} is missing); give the folder of a store")
    return read_json(path, RECORDS, "restore it from a copy or make the store again")


def read_sealed(kind: type[_Content], raw: Any, path: Path) -> _Content:
    """Return the checked content of a JSON file that carries a checksum of itself.

    Raises:
        UserError: another format version, an inconsistent field, or a wrong checksum.
    """
    version = raw.get("format") if isinstance(raw, dict) else None
    if version not in (1, FORMAT):
        raise UserError(
            f"{path}: store format {version!r}, this avparse reads 1 and {FORMAT}; make the store again with it"
        )
    content = kind.read({key: value for key, value in raw.items() if key != "sha256"}, str(path))
    if content.digest() != raw.get("sha256"):
        raise UserError(f"{path}: its checksum is wrong, so it was changed; restore it or make the store again")
    return content


def write_sealed(path: Path, content: Sealed) -> None:
    """Write a JSON file atomically, with the checksum of its own content."""
    write_json(path, {**content.model_dump(mode="json"), "sha256": content.digest()})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically; this commits what was appended."""
    write_sealed(folder / MANIFEST, manifest)


def read_table(path: Path, schema: pa.Schema, rows: int) -> pa.Table:
    """Read the first rows of a table of a store.

    Args:
        path: path of the Parquet file.
        schema: names and types of all columns.
        rows: number of committed rows; the file may hold more.

    Raises:
        UserError: missing, damaged, or a table of other columns or fewer rows.
    """
    try:
        table = read_parquet(path, schema.names)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path}: cannot be read ({reason}); make the store again") from None
    if table.schema.remove_metadata() != schema or table.num_rows < rows:
        raise UserError(f"{path}: not the table of this store (columns or rows differ); make the store again")
    return table.slice(0, rows)


def read_index(folder: Path, manifest: Manifest) -> pa.Table:
    """Read the committed rows of the index and check their digest.

    Raises:
        UserError: missing, damaged, or not the rows that the manifest was written for.
    """
    path = folder / INDEX
    table = read_table(path, INDEX_SCHEMA, manifest.videos)
    check_digest(path, index_lines(table), manifest.index_sha256)
    return table


def index_lines(table: pa.Table) -> Iterator[bytes]:
    """Yield each index row in a canonical form, without the time at which its source was changed."""
    return canonical_lines(table.drop_columns(["source_modified_ns"]))


def canonical_lines(table: pa.Table) -> Iterator[bytes]:
    """Yield each row in a canonical form, so that its digest does not depend on how Parquet packs it."""
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        yield json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def check_digest(path: Path, lines: Iterator[bytes], expected: str) -> None:
    """Refuse a table whose rows are not those that its digest was made of.

    Raises:
        UserError: the digest differs; ``path`` is named.
    """
    try:
        found = digest(lines).hexdigest()
    except UnicodeDecodeError:  # damaged text that Parquet did not notice
        found = ""
    if found != expected:
        raise UserError(f"{path}: checksum differs from the manifest; restore it or make the store again")


def digest(lines: Iterator[bytes], start: hashlib._Hash | None = None) -> hashlib._Hash:
    """Return the SHA-256 of ``lines``, continued from a copy of ``start``."""
    found = start.copy() if start is not None else hashlib.sha256()
    for line in lines:
        found.update(line)
    return found
