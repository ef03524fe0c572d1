"""Cache of a teacher's embeddings, so that an interrupted run continues.

``STORE/teachers/.NAME.MODALITY-DIGEST/NNNNNN.safetensors`` holds the segments ``[T, E]`` of some videos, each by its
id; a file is complete or absent. The digest is that of the settings that determine the embeddings, so other settings
use another folder. The folder is removed when the scores are saved.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from avparse.data.scores import FOLDER, TeacherInfo, TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file

_COMMIT_VIDEOS = 16


class EmbeddingCache:
    """Embeddings by video, which are written to disk after every few videos and at the end of the block.

    Videos of an earlier save count as done if they were embedded in the same way, whatever the prompts were then.
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
                path.unlink()  # damaged: its videos are embedded again
            self._next = int(path.stem) + 1

    def __contains__(self, video: str) -> bool:
        return video in self._found

    def add(self, video: str, segments: Float32Array) -> None:
        """Store the segments ``[T, E]`` of a video."""
        self._found[video] = self._waiting[video] = segments
        if len(self._waiting) >= _COMMIT_VIDEOS:
            self._flush()

    def scores(self, store: FeatureStore, info: TeacherInfo, texts: Float32Array) -> TeacherScores:
        """Return the scores of all videos that are done, in the order of the store."""
        videos = tuple(video for video in store.videos if video in self._found)
        lengths = np.array([len(self._found[video]) for video in videos], dtype=np.int64)
        return TeacherScores(info, videos, lengths, np.concatenate([self._found[video] for video in videos]), texts)

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


def _saved(store: FeatureStore, teacher: str, modality: str, identity: str) -> dict[str, Float32Array]:
    try:
        before = load_scores(store, teacher, modality)
    except UserError:
        return {}
    if not isinstance(before, TeacherScores) or before.info.checkpoint != identity:
        return {}
    ends: Sequence[int] = np.cumsum(before.lengths)[:-1].tolist()
    return dict(zip(before.videos, np.split(before.segments, ends), strict=True))
