"""Writing of feature stores: blocks of videos, each appended completely or not at all.

The steps of an append are: annotations by rename, rows after the committed rows of every file, headers, sync, index by
rename, manifest by rename. The last rename commits. A process killed before it leaves annotations of videos without
features, a longer file and the old manifest, which is the old store; the next writer removes the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from avparse.data.store import format_1
from avparse.data.store.annotations import SCHEMA, StoredAnnotations
from avparse.data.store.block import Block, column_arrays, index_rows, labelled_rows
from avparse.data.store.contents import Contents
from avparse.data.store.format import (
    INDEX,
    INDEX_SCHEMA,
    BlockRecord,
    Manifest,
    StreamInfo,
    digest,
    index_lines,
    read_json_of,
    write_manifest,
)
from avparse.data.store.stamp import Stamp
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file, atomic_folder, sweep, writing
from avparse.foundation.locks import Lock
from avparse.foundation.platform import write_at

__all__ = ["Block", "StoreWriter", "StreamInfo"]
_LOCK = ".writer"


class StoreWriter:
    """Appends blocks to a store; one writer at a time, released by :meth:`close` or the end of the ``with`` block.

    Attributes:
        path: path of the store's folder.
        manifest: manifest of the committed features.
        annotations: annotations of the videos.
        done: stamp of the source of every video whose features are committed, by its id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest
        self.annotations: StoredAnnotations
        self.done: dict[str, Stamp]
        read_json_of(path)  # where no store is, no lock is made
        self._files: dict[str, BinaryIO] = {}
        self._lock = Lock(path / _LOCK, path)
        try:
            with writing(path):
                self._recover()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        vocabulary: Vocabulary,
        streams: Mapping[str, StreamInfo],
        segment_seconds: float,
        truth: bool,
        description: str = "",
    ) -> Self:
        """Make an empty store at ``path`` and open it for appending.

        Args:
            path: path of a folder that does not exist yet.
            vocabulary: classes of the store, in order.
            streams: dimension, dtype and extractor of each stream, by name.
            segment_seconds: length of a segment in seconds.
            truth: whether dense truth will be stored (videos may still lack it).
            description: free text shown by ``avparse data info``.

        Raises:
            UserError: the folder exists or cannot be written, or a setting is bad.
        """
        settings = {
            "description": description,
            "segment_seconds": segment_seconds,
            "streams": {name: info.model_dump() for name, info in streams.items()},
        }
        manifest = Manifest.read(settings, str(path))
        with atomic_folder(path) as folder:
            for name, column in manifest.columns().items():
                (folder / name).write_bytes(column.header(0))
            StoredAnnotations.of(vocabulary, truth, SCHEMA.empty_table()).write(folder)
            pq.write_table(INDEX_SCHEMA.empty_table(), folder / INDEX)
            write_manifest(folder, manifest)
        return cls(Path(path))

    @classmethod
    def reopen(
        cls,
        path: str | os.PathLike[str],
        *,
        vocabulary: Vocabulary | None = None,
        streams: Mapping[str, StreamInfo] | None = None,
        segment_seconds: float | None = None,
        truth: bool | None = None,
    ) -> Self:
        """Open an existing store to append more; the remains of an unfinished append are removed.

        Settings that are given must be those of the store, so that a resumed job cannot mix two kinds of rows.

        Raises:
            UserError: there is no store, it has another version or setting (the message names it), or another process
                is writing to it.
        """
        contents = Contents.read(Path(path))
        manifest, info = contents.manifest, contents.annotations.info
        wanted = {
            "vocabulary": (None if vocabulary is None else vocabulary.names, info.vocabulary),
            "segment_seconds": (segment_seconds, manifest.segment_seconds),
            "truth": (truth, info.truth),
        }
        for name, (value, found) in wanted.items():
            if value is not None and value != found:
                raise UserError(f"{path}: its '{name}' differs from what is to be appended; choose another folder")
        if streams is not None:
            _check_streams(path, streams, manifest.streams)
        return cls(Path(path))

    def append(self, block: Block) -> None:
        """Commit a block of videos: the store contains it completely after this call, and nothing of it before.

        A video that the store has already is superseded: its features and annotations are those of the block.

        Raises:
            UserError: a bad or repeated id, a wrong shape, NaN or infinity (the video and stream are named), or the
                disk refuses; the store is as before.
        """
        if not len(block.videos):
            return
        rows = index_rows(block, self.manifest, str(self.path))
        labelled = labelled_rows(block, self.annotations.info, str(self.path))
        arrays = column_arrays(block, self.manifest, str(self.path))
        try:
            with writing(self.path):
                self.annotations = self.annotations.with_rows(labelled).write(self.path)
                self._commit(arrays, rows)
        except BaseException:
            # The manifest may or may not have been renamed, so the state on disk decides.
            with contextlib.suppress(OSError, UserError):
                self._recover()
            raise

    def annotate(self, annotations: StoredAnnotations) -> None:
        """Put other annotations in the place of those of the store, with other classes if they have any.

        Raises:
            UserError: the disk refuses; the store is as before.
        """
        with writing(self.path):
            self.annotations = annotations.write(self.path)

    def contents(self) -> Contents:
        """Return what the store holds now."""
        return Contents(self.manifest, self._index, self.annotations)

    def close(self) -> None:
        """Close the files and release the store for other writers."""
        for file in self._files.values():
            file.close()
        self._files = {}
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self) -> None:
        """Read the committed state from the disk, in today's format, and remove everything after it."""
        contents = Contents.read(self.path)
        self.manifest, self._index, self.annotations = contents.manifest, contents.index, contents.annotations
        self._digest = digest(index_lines(self._index))
        self.done = _stamps(self._index)
        if contents.former:
            self.annotations = format_1.convert(self.path, self.manifest, self._index, self.annotations)
        format_1.remove(self.path)
        sweep(self.path, locked=True)
        self.annotations.remove_others(self.path)
        kept = self.annotations.only(self.done)
        if kept is not self.annotations:
            self.annotations = kept.write(self.path)
        for name, column in self.manifest.columns().items():
            if name not in self._files:
                self._files[name] = open(self.path / name, "r+b", buffering=0)  # noqa: SIM115 - held until close()
            # The header shrinks first, so that it never declares rows that are gone.
            write_at(self._files[name].fileno(), column.header(self.manifest.rows), 0)
            self._files[name].truncate(column.end(self.manifest.rows))

    def _commit(self, arrays: Mapping[str, npt.NDArray[Any]], rows: list[dict[str, Any]]) -> None:
        old, added = self.manifest, sum(row["segments"] for row in rows)
        sums = {}
        for name, column in old.columns().items():
            content = arrays[name].reshape(-1).view(np.uint8).data
            sums[name] = hashlib.sha256(content).hexdigest()
            descriptor = self._files[name].fileno()
            write_at(descriptor, content, column.end(old.rows))
            write_at(descriptor, column.header(old.rows + added), 0)
        for file in self._files.values():
            os.fsync(file.fileno())
        table = pa.Table.from_pylist(rows, schema=INDEX_SCHEMA)
        index = pa.concat_tables([self._index, table])
        with atomic_file(self.path / INDEX) as file:
            pq.write_table(index, file)
        new_digest = digest(index_lines(table), self._digest)
        manifest = old.model_copy(
            update={
                "videos": old.videos + len(rows),
                "rows": old.rows + added,
                "index_sha256": new_digest.hexdigest(),
                "blocks": (*old.blocks, BlockRecord(videos=len(rows), rows=added, sha256=sums)),
            }
        )
        write_manifest(self.path, manifest)
        self.manifest, self._index, self._digest = manifest, index, new_digest
        self.done |= _stamps(table)


def _check_streams(
    path: str | os.PathLike[str], streams: Mapping[str, StreamInfo], stored: Mapping[str, StreamInfo]
) -> None:
    """Refuse to append other streams than a store has, or streams that were made differently."""
    if set(streams) != set(stored):
        differences = [f"{', '.join(streams)} in place of {', '.join(stored)}"]
    else:
        differences = [
            f"'{name}' with {line}" for name, info in stored.items() for line in info.differences(streams[name])
        ]
    if differences:
        raise UserError(
            f"{path}: its 'streams' differs from what is to be appended ({'; '.join(differences)}); choose another "
            "folder"
        )


def _stamps(index: pa.Table) -> dict[str, Stamp]:
    columns = (index[name].to_pylist() for name in ("source_bytes", "source_sha256", "source_modified_ns"))
    stamps = (Stamp(*values) for values in zip(*columns, strict=True))
    return dict(zip(index["video"].to_pylist(), stamps, strict=True))
