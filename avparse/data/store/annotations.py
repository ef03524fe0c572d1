"""Annotations of a feature store on disk: splits, weak labels and dense truth of its videos.

``annotations.json`` names the one Parquet file that holds them by its checksum. Annotations are replaced by writing a
new file beside the old one, renaming ``annotations.json`` and then removing the old file, so that a process killed
anywhere leaves the old or the new ones. Rows of videos without features are of no effect.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from avparse.data.store.format import SPLITS, Sealed, canonical_lines, digest, read_sealed, read_table, write_sealed
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of, write_bytes
from avparse.foundation.reading import read_json

ANNOTATIONS, _FILES = "annotations.json", "annotations-*.parquet"
_MEND = "annotate the store again ('avparse data relabel')"
# Runs of active segments are numbers in threes: the class, the first segment, and the one after the last.
SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("split", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("annotated", pa.bool_()),
        *((modality, pa.list_(pa.int64())) for modality in MODALITIES),
    ]
)


class AnnotationsInfo(Sealed):
    """The content of ``annotations.json``.

    Attributes:
        format: version of the format of the store.
        vocabulary: classes of the store, in order.
        truth: whether the store is made for dense truth; its videos may still lack it.
        videos: number of annotated rows in the file.
        rows_sha256: digest of the rows, however Parquet packs them.
        file_sha256: checksum of the file, whose first 16 digits are in its name.
    """

    format: Literal[2] = 2
    vocabulary: tuple[str, ...]
    truth: bool
    videos: int = Field(0, ge=0)
    rows_sha256: str = hashlib.sha256().hexdigest()
    file_sha256: str = ""

    @field_validator("vocabulary")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return Vocabulary(names).names

    @property
    def version(self) -> str:
        """Digest of classes and rows: 64 hexadecimal digits."""
        content = self.model_dump_json(exclude={"format", "file_sha256"})
        return hashlib.sha256(content.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class StoredAnnotations:
    """Annotations of the videos of a store.

    Attributes:
        info: classes, counts and checksums.
        table: a row of every video, with the columns of ``SCHEMA``.
        so_far: digest of the rows that more can be added to; None if it is not known yet.
    """

    info: AnnotationsInfo
    table: pa.Table
    so_far: hashlib._Hash | None = None

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, truth: bool, table: pa.Table, so_far: hashlib._Hash | None = None
    ) -> StoredAnnotations:
        """Return the annotations of a table with their digest, which is computed where it is not given."""
        so_far = digest(canonical_lines(table)) if so_far is None else so_far
        rows = so_far.hexdigest()
        info = AnnotationsInfo(vocabulary=vocabulary.names, truth=truth, videos=table.num_rows, rows_sha256=rows)
        return cls(info, table, so_far)

    @classmethod
    def read(cls, folder: Path) -> StoredAnnotations:
        """Read the annotations of a store; the file is parsed only if it has its checksum.

        Raises:
            UserError: a file is missing or damaged, or holds what annotations cannot be; it is named.
        """
        path = folder / ANNOTATIONS
        info = read_sealed(AnnotationsInfo, read_json(path, mend=_MEND), path)
        file = _file(folder, info)
        try:
            same = sha256_of(file) == info.file_sha256
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); {_MEND}") from None
        if not same:
            raise UserError(f"{file}: checksum differs from {ANNOTATIONS}; restore it, or {_MEND}")
        table = read_table(file, SCHEMA, info.videos)
        _check(file, table, len(info.vocabulary))
        return cls(info, table)

    def write(self, folder: Path) -> StoredAnnotations:
        """Put the annotations in the place of those of a store; return them with the checksum of their file."""
        content = io.BytesIO()
        pq.write_table(self.table.combine_chunks(), content)
        found = hashlib.sha256(content.getbuffer()).hexdigest()
        written = replace(self, info=self.info.model_copy(update={"file_sha256": found}))
        write_bytes(_file(folder, written.info), content.getvalue())
        write_sealed(folder / ANNOTATIONS, written.info)
        written.remove_others(folder)
        return written

    def remove_others(self, folder: Path) -> None:
        """Remove files of other annotations than these."""
        for path in folder.glob(_FILES):
            if path != _file(folder, self.info):
                with contextlib.suppress(OSError):  # Windows does not remove what another process reads
                    path.unlink()

    @property
    def vocabulary(self) -> Vocabulary:
        """Classes of the store, in order."""
        return Vocabulary(self.info.vocabulary)

    @property
    def splits(self) -> dict[str, str]:
        """Split of each video."""
        return dict(zip(self.table["video"].to_pylist(), self.table["split"].to_pylist(), strict=True))

    def with_rows(self, rows: pa.Table) -> StoredAnnotations:
        """Return these annotations with some rows after them, in place of earlier rows of the same videos."""
        kept = self.table.filter(pc.invert(pc.is_in(self.table["video"], value_set=rows["video"].combine_chunks())))
        before = self.so_far if kept.num_rows == self.table.num_rows else None
        before = digest(canonical_lines(kept)) if before is None else before
        table, so_far = pa.concat_tables([kept, rows]), digest(canonical_lines(rows), before)
        return StoredAnnotations.of(self.vocabulary, self.info.truth, table, so_far)

    def only(self, videos: Collection[str]) -> StoredAnnotations:
        """Return the annotations of some videos, these themselves where no other video has any."""
        named = pc.is_in(self.table["video"], value_set=pa.array(list(videos), pa.string()))
        if pc.all(named, min_count=0).as_py():
            return self
        return StoredAnnotations.of(self.vocabulary, self.info.truth, self.table.filter(named))

    def weak(self) -> BoolArray:
        """Return the weak labels ``[N, C]``."""
        labels = self.table["labels"].combine_chunks()
        weak = np.zeros((len(labels), len(self.info.vocabulary)), dtype=bool)
        classes = pc.index_in(labels.flatten(), value_set=pa.array(self.info.vocabulary))
        if classes.null_count:
            raise UserError(f"{ANNOTATIONS}: a label is not among its classes; {_MEND}")
        weak[pc.list_parent_indices(labels).to_numpy(), classes.to_numpy()] = True
        return weak


def annotation_rows(
    videos: Sequence[str], splits: Sequence[str], labels: Sequence[Sequence[str]], annotated: BoolArray
) -> pa.Table:
    """Return rows of annotations without truth.

    Args:
        videos: ids of the n videos.
        splits: split of each video.
        labels: names of the classes of each video.
        annotated: whether the truth of each video is known, ``[n]``.
    """
    none: list[list[int]] = [[] for _ in videos]
    columns = [list(videos), list(splits), [list(names) for names in labels], annotated.tolist(), none, none]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def with_truth(rows: pa.Table, modality: str, runs: pa.Array) -> pa.Table:
    """Return rows of annotations with the runs of one modality."""
    return rows.set_column(rows.column_names.index(modality), SCHEMA.field(modality), runs)


def take_videos(table: pa.Table, positions: IntArray) -> pa.Table:
    """Return some rows of annotations in another order."""
    return table.take(pa.array(positions, pa.int64())).combine_chunks()


def _file(folder: Path, info: AnnotationsInfo) -> Path:
    return folder / _FILES.replace("*", info.file_sha256[:16])


def _check(path: Path, table: pa.Table, classes: int) -> None:
    """Refuse rows that no writer makes."""
    bad = f"{path}: not annotations of a store; {_MEND}"
    if any(column.null_count for column in table.columns) or len(table["video"].unique()) < table.num_rows:
        raise UserError(bad)
    if not pc.all(pc.is_in(table["split"], value_set=pa.array(SPLITS)), min_count=0).as_py():
        raise UserError(bad)
    for modality in MODALITIES:
        column = table[modality].combine_chunks()
        runs = column.flatten()
        if runs.null_count or (pc.list_value_length(column).to_numpy() % 3).any():
            raise UserError(bad)
        threes = runs.to_numpy().reshape(-1, 3)
        if ((threes < 0) | (threes >= [classes, 1 << 40, 1 << 40])).any() or (threes[:, 1] >= threes[:, 2]).any():
            raise UserError(bad)
