"""What a feature store holds on disk: its features and its annotations, whichever its format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from avparse.data.store import format_1
from avparse.data.store.annotations import ANNOTATIONS, StoredAnnotations
from avparse.data.store.format import MANIFEST, Manifest, read_index, read_json_of, read_sealed
from avparse.foundation.arrays import IntArray
from avparse.foundation.errors import UserError


@dataclass(frozen=True)
class Contents:
    """Features and annotations of a store.

    Attributes:
        manifest: settings, counts and checksums of the features.
        index: a row of every appended video, superseded ones included.
        annotations: splits, weak labels and truth.
        former: digest that was the version of a store of format 1; empty for one of today's format.
    """

    manifest: Manifest
    index: pa.Table
    annotations: StoredAnnotations
    former: str = ""

    @classmethod
    def read(cls, folder: Path) -> Contents:
        """Read and check what a store holds; where another process replaces a file meanwhile, it is read again.

        Raises:
            UserError: there is no store, it has another version, or a file is damaged (the message names it).
        """
        while True:
            before = _state(folder)
            try:
                return cls._read(folder)
            except UserError:
                if _state(folder) == before:
                    raise

    @classmethod
    def _read(cls, folder: Path) -> Contents:
        raw, path = read_json_of(folder), folder / MANIFEST
        if isinstance(raw, dict) and raw.get("format") == 1:
            contents = cls(*format_1.read(folder, raw, path))
        else:
            manifest = read_sealed(Manifest, raw, path)
            contents = cls(manifest, read_index(folder, manifest), StoredAnnotations.read(folder))
        for name, column in contents.manifest.columns().items():
            column.check(folder / name, contents.manifest.rows)
        return contents

    def current(self) -> list[int]:
        """Return the positions in the index of the videos whose features count: the last of every id, in order."""
        videos = self.index["video"].to_pylist()
        last = {video: position for position, video in enumerate(videos)}
        return sorted(last.values())

    def joined(self) -> tuple[IntArray, IntArray]:
        """Return the positions of the videos that have both, in the index and in the table of annotations."""
        videos: Sequence[str] = self.index["video"].to_pylist()
        known = {video: row for row, video in enumerate(self.annotations.table["video"].to_pylist())}
        pairs = [(position, known[videos[position]]) for position in self.current() if videos[position] in known]
        index, table = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return index, table


def _state(folder: Path) -> list[tuple[int, int, int] | None]:
    """Return which versions of the files that a writer replaces are there."""
    found: list[tuple[int, int, int] | None] = []
    for name in (MANIFEST, ANNOTATIONS):
        try:
            status = (folder / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return found
