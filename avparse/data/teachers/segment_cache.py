"""Cache of what a teacher made of each video, so that an interrupted run continues.

``STORE/teachers/.NAME.MODALITY-DIGEST/NNNNNN.safetensors`` holds embeddings ``[T, E]`` or logits ``[T, C]`` of the
segments of some videos, each by its id; a file is complete or absent. The digest is that of the settings that determine
them, so other settings use another folder. The folder is removed when the scores are saved.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from avparse.data.scores import FOLDER, load_scores
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import Float32Array, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.progress import track
from avparse.media.pipeline import Failed

_COMMIT_VIDEOS = 16


class SegmentCache:
    """Segments by video, which are written to disk after every few videos and at the end of the block.

    Videos of an earlier save count as done if they were made in the same way, whatever the prompts were then.
    """

    def __init__(self, store: FeatureStore, teacher: str, modality: str, identity: str) -> None:
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self._all = f".{teacher}.{modality}-*"
        self._teachers = store.path / FOLDER
        self.folder = self._teachers / self._all.replace("*", digest)
        self._found = _saved(store, teacher, modality, identity)
        self._waiting: dict[str, Float32Array] = {}
        self._next = 0
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                self._found |= from_bytes(path.read_bytes())
            except (OSError, SafetensorError):
                path.unlink()  # damaged: its videos are asked about again
            self._next = int(path.stem) + 1

    def __contains__(self, video: str) -> bool:
        return video in self._found

    def add(self, video: str, segments: Float32Array) -> None:
        """Store the segments ``[T, ...]`` of a video."""
        self._found[video] = self._waiting[video] = segments
        if len(self._waiting) >= _COMMIT_VIDEOS:
            self._flush()

    def collected(self, store: FeatureStore) -> tuple[tuple[str, ...], IntArray, Float32Array]:
        """Return the videos that are done, in the order of the store, their lengths and their segments in one array."""
        videos = tuple(video for video in store.videos if video in self._found)
        lengths = np.array([len(self._found[video]) for video in videos], dtype=np.int64)
        return videos, lengths, np.concatenate([self._found[video] for video in videos])

    def remove(self) -> None:
        """Remove the folder, and those of the same teacher with other settings."""
        self._waiting = {}
        for folder in self._teachers.glob(self._all):
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._waiting:
            with atomic_file(self.folder / f"{self._next:06d}.safetensors") as file:
                file.write(to_bytes(self._waiting))
            self._next += 1
            self._waiting = {}


def kept(
    results: Iterable[tuple[str, Float32Array | Failed]], store: FeatureStore, cache: SegmentCache, title: str
) -> Iterator[Failed]:
    """Put what was made of videos into a cache, with a bar of progress; yield those that could not be read.

    Raises:
        UserError: no video of the store could be read.
    """
    done = sum(video in cache for video in store.videos)
    failures = 0
    for video, found in track(results, title, total=len(store), first=done):
        if isinstance(found, Failed):
            failures += 1
            if failures == len(store):
                raise UserError(f"{found.reason} (and so with all {failures} videos)")
            yield found
        else:
            cache.add(video, found)


def _saved(store: FeatureStore, teacher: str, modality: str, identity: str) -> dict[str, Float32Array]:
    try:
        before = load_scores(store, teacher, modality)
    except UserError:
        return {}
    if before.info.checkpoint != identity:
        return {}
    ends: Sequence[int] = np.cumsum(before.lengths)[:-1].tolist()
    return dict(zip(before.videos, np.split(before.per_segment, ends), strict=True))
