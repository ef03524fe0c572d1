"""Reading of feature stores by memory mapping."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.data.store.annotations import take_videos
from avparse.data.store.contents import Contents
from avparse.data.store.format import PRESENT, Column, StreamInfo
from avparse.data.store.truth import Runs
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float64Array, IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.npy import HEADER_BYTES
from avparse.foundation.settings import lookup

__all__ = ["FeatureStore", "StreamInfo"]
_READ_BYTES = 1 << 20
_SPLIT_WORDS = {"train": "training ", "val": "validation ", "test": "test "}


class FeatureStore:
    """An opened feature store: the videos that have features and annotations.

    Features are memory-mapped read-only, so only the parts in use are in memory.

    Attributes:
        path: path of the store's folder.
        manifest: settings, counts and checksums of the features.
        vocabulary: classes of the store, in order.
        segment_seconds: length of a segment in seconds.
        videos: video ids, in order.
        splits: split ``[N]`` of each video ("train", "val", "test" or "").
        first_row, lengths: ``[N]`` int64; the segments of video n are rows ``first_row[n] + arange(lengths[n])``.
        durations: duration ``[N]`` of each video in seconds.
        weak: weak labels ``[N, C]``.
        annotated: whether the dense truth of each video is known, ``[N]``.
        origins: origin of each video.
        left_out: ids of videos that have features and no annotations.
        superseded: number of videos whose features were replaced by later ones; their rows are still in the files.
        features_version: version of the features, 16 hexadecimal digits.
        annotations_version: version of the annotations, 16 hexadecimal digits.

    Example:
        >>> store = FeatureStore.open("features/llp")  # doctest: +SKIP
        >>> test = store.select("test")  # doctest: +SKIP
        >>> audio, visual, mask = store.dense_truth(test)  # doctest: +SKIP
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        appended, (chosen, rows) = contents.index["video"].to_pylist(), contents.joined()
        index, table = contents.index.take(chosen), take_videos(contents.annotations.table, rows)
        self.path = path
        self.manifest = contents.manifest
        self.vocabulary = contents.annotations.vocabulary
        self.segment_seconds = self.manifest.segment_seconds
        self.videos: list[str] = index["video"].to_pylist()
        self.origins: list[str] = index["source"].to_pylist()
        self.splits: npt.NDArray[np.str_] = np.array(table["split"].to_pylist(), dtype=np.str_)
        self.first_row: IntArray = index["first_row"].to_numpy()
        self.lengths: IntArray = index["segments"].to_numpy()
        self.durations: Float64Array = index["duration"].to_numpy()
        self.annotated: BoolArray = np.array(table["annotated"].to_pylist(), dtype=bool)
        self.weak: BoolArray = contents.annotations.weak()[rows]
        self.features_version = self.manifest.digest()[:16]
        self.annotations_version = contents.annotations.info.version[:16]
        named = set(self.videos)
        self.left_out = [video for video in map(appended.__getitem__, contents.current()) if video not in named]
        self.superseded = len(appended) - len(self.videos) - len(self.left_out)
        self._sources: list[str] = index["source_sha256"].to_pylist()
        self._former = contents.former
        self._appended: list[str] = appended
        self._has_truth = contents.annotations.info.truth
        self._runs = {modality: Runs.of_column(table[modality].combine_chunks()) for modality in MODALITIES}
        self._truth: dict[str, BoolArray] = {}
        self._maps: dict[str, np.memmap[Any, Any]] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> FeatureStore:
        """Open the store at ``path``; versions, sizes, headers and the digests of index and annotations are checked.

        Raises:
            UserError: there is no store, it has another version, or a file differs from the manifest (the message names
                it).
        """
        folder = Path(path)
        return cls(folder, Contents.read(folder))

    def verify(self) -> None:
        """Check every block of every file against its checksum, a megabyte at a time, and that features are finite.

        Raises:
            UserError: the bytes of a file differ from those committed, or features are NaN or infinite; the file and
                the videos are named.
        """
        for name, column in self.manifest.columns().items():
            with open(self.path / name, "rb") as file:
                file.seek(HEADER_BYTES)
                video = 0
                for block in self.manifest.blocks:
                    span = f"'{self._appended[video]}' to '{self._appended[video + block.videos - 1]}'"
                    found, finite = _read_next(file.fileno(), block.rows * column.row_bytes, column.dtype)
                    if found != block.sha256.get(name):
                        raise UserError(f"{self.path / name}: wrong checksum in videos {span}; make the store again")
                    if not finite:
                        raise UserError(f"{self.path / name}: NaN or infinity in videos {span}; make the store again")
                    video += block.videos

    @property
    def about(self) -> str:
        """Description of the data for captions, without the simulator's settings; the path if there is none."""
        return self.manifest.description.partition(", knobs {")[0] or str(self.path)

    @property
    def streams(self) -> dict[str, StreamInfo]:
        """Name -> dimension, dtype and extractor of each stream."""
        return self.manifest.streams

    def stream(self, name: str) -> np.memmap[Any, Any]:
        """Return the features ``[sum T, D]`` of a stream, read-only.

        Raises:
            UserError: there is no such stream; the nearest name is offered.
        """
        lookup(self.streams, name, "feature stream")
        return self._map(f"{name}.npy")

    @property
    def present(self) -> np.memmap[Any, Any]:
        """``[sum T, 2]`` boolean: audio, visual present in the segment."""
        return self._map(PRESENT)

    def modalities(self, indices: IntArray) -> BoolArray:
        """Return which modalities each video has in any segment, ``[n, 2]``: audio, visual.

        Args:
            indices: positions ``[n]`` of videos in the store.
        """
        if not len(indices):
            return np.zeros((0, len(MODALITIES)), dtype=bool)
        lengths = self.lengths[indices]
        present = self.present[segment_rows(self.first_row[indices], lengths)]
        found: BoolArray = np.logical_or.reduceat(present, np.cumsum(lengths) - lengths, axis=0)
        return found

    def truth(self, modality: str) -> BoolArray | None:
        """Return the dense truth ``[sum T, C]`` of a modality, or None if the store has none; see ``annotated``.

        The rows are those of the streams; where no video of the store is, nothing is true.
        """
        if modality not in MODALITIES:
            raise UserError(f"unknown modality '{modality}'; known: {', '.join(MODALITIES)}")
        if not self._has_truth:
            return None
        if modality not in self._truth:
            shape = (self.manifest.rows, len(self.vocabulary))
            dense = self._runs[modality].dense(np.arange(len(self)), self.first_row, self.lengths, shape)
            dense.flags.writeable = False
            self._truth[modality] = dense
        return self._truth[modality]

    def select(self, split: str) -> IntArray:
        """Return the positions of the videos of a split.

        Raises:
            UserError: the split holds no video; the message names the splits that do.
        """
        found = np.flatnonzero(self.splits == split)
        if not len(found):
            names = ", ".join(f"'{name}'" for name in np.unique(self.splits)) or "none"
            raise UserError(
                f"{self.path}: no video in split '{split}'; splits with videos: {names}; change the column 'split' "
                f"of the table, or leave it out to have splits drawn, and run: avparse data relabel {self.path} "
                "--labels TABLE"
            )
        return found.astype(np.int64)

    def dense_truth(self, indices: IntArray) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Return the dense truth of some videos, padded with False to the longest.

        Args:
            indices: positions ``[n]`` of annotated videos in the store.

        Returns:
            audio ``[n, T, C]``, visual ``[n, T, C]``, mask ``[n, T]`` (True where the segment exists).

        Raises:
            UserError: one of the videos is not annotated.
        """
        self.require_truth(indices)
        lengths, classes = self.lengths[indices], len(self.vocabulary)
        most = int(lengths.max(initial=0))
        first_row, shape = np.arange(len(indices)) * most, (len(indices) * most, classes)
        audio, visual = (
            self._runs[m].dense(indices, first_row, lengths, shape).reshape(-1, most, classes)
            if most
            else np.zeros((0, 0, classes), dtype=bool)
            for m in MODALITIES
        )
        return audio, visual, np.arange(most) < lengths[:, None]

    def require_truth(self, indices: IntArray, reason: str = "", otherwise: str = "choose annotated videos") -> None:
        """Refuse videos whose dense truth is not known.

        Args:
            indices: positions ``[n]`` of videos in the store.
            reason: name of what reads the truth, for the message.
            otherwise: alternative to annotating the videos, for the message.

        Raises:
            UserError: one of the videos is not annotated; the message counts them and names the first.
        """
        blind = indices[~self.annotated[indices]]
        if len(blind):
            splits = {str(split) for split in self.splits[blind]}
            which = _SPLIT_WORDS.get(splits.pop(), "") if len(splits) == 1 else ""
            raise UserError(
                f"{self.path}: {len(blind)} of {len(indices)} {which}videos have no dense truth "
                f"(such as '{self.videos[blind[0]]}'){f', {reason}' if reason else ''}: give their events (avparse "
                f"data relabel {self.path} --labels TABLE --events TABLE), or {otherwise}"
            )

    def source_sha256(self, video: str) -> str:
        """Return the digest of the file that a video's features were made of; empty where it is not known.

        Raises:
            UserError: the video is not in the store.
        """
        return self._sources[self.position(video)]

    def position(self, video: str) -> int:
        """Return the position of a video.

        Raises:
            UserError: the video is not in the store.
        """
        position = self._positions.get(video)
        if position is None:
            raise UserError(f"{self.path}: no video '{video}' among its {len(self.videos)}; check the id")
        return position

    @property
    def fingerprint(self) -> str:
        """Version of features and annotations together, 16 hexadecimal digits."""
        if self._former:
            return self._former[:16]
        return hashlib.sha256(f"{self.features_version} {self.annotations_version}".encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.videos)

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore.open, (self.path,)  # a copy in another process maps the files instead of copying them

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {video: position for position, video in enumerate(self.videos)}

    def _map(self, name: str) -> np.memmap[Any, Any]:
        if name not in self._maps:
            column: Column = self.manifest.columns()[name]
            shape = (self.manifest.rows, column.width)
            self._maps[name] = np.memmap(self.path / name, column.dtype, "r", HEADER_BYTES, shape)
        return self._maps[name]


def _read_next(descriptor: int, size: int, dtype: np.dtype[Any]) -> tuple[str, bool]:
    """Return the SHA-256 of the next ``size`` bytes of an open file, and whether all numbers in them are finite."""
    found, finite = hashlib.sha256(), True
    while size > 0:
        piece = os.read(descriptor, min(size, _READ_BYTES))
        if not piece:
            break
        found.update(piece)
        if dtype.kind == "f" and len(piece) % dtype.itemsize == 0:
            finite = finite and bool(np.isfinite(np.frombuffer(piece, dtype)).all())
        size -= len(piece)
    return found.hexdigest(), finite
