"""What every teacher leaves beside a store, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from safetensors.numpy import save as to_bytes

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.settings import Settings

FOLDER = "teachers"


class TeacherInfo(Settings):
    """What a teacher is.

    Attributes:
        teacher: name of the teacher in recipes.
        modality: modality that the teacher scores.
        checkpoint: network and settings that computed the scores.
        logit_scale: factor from the product of a segment and a prompt to the logit that the network was trained with;
            1 for a teacher of logits.
        logit_bias: number added to the scaled product.
        unit_length: whether the network compares embeddings of length one, so that the product is a cosine.
        segment_seconds: length of a segment in seconds.
        classes: names of the classes, in order.
        prompts: the text of each class; none for a teacher that is not asked by texts.
        subset_prompts: the texts of label subsets, if any.
        unjudged: names of the classes that the teacher cannot judge; pseudo labels keep the weak label's word of them.
    """

    teacher: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,64}$")
    modality: Literal["audio", "visual"]
    checkpoint: str
    logit_scale: float = Field(1.0, gt=0)
    logit_bias: float = 0.0
    unit_length: bool = True
    segment_seconds: float = Field(gt=0)
    classes: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    subset_prompts: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def judged(self) -> BoolArray:
        """Whether the teacher can judge each class, ``[C]``."""
        return ~np.isin(np.array(self.classes), np.array(self.unjudged, dtype=str))


@dataclass(frozen=True, eq=False)
class SegmentScores(ABC):
    """What a teacher says of the segments of some videos, in whichever form.

    Attributes:
        info: description of the teacher.
        videos: ids of the N videos.
        lengths: ``[N]`` number of segments of each video; the rows of all arrays are these segments, one video after
            the other.
    """

    info: TeacherInfo
    videos: tuple[str, ...]
    lengths: IntArray

    @abstractmethod
    def logits(self, rows: IntArray) -> Float32Array:
        """Return the logits ``[n, C]`` of the classes in some segments; zero where the teacher cannot tell."""

    @abstractmethod
    def known(self, rows: IntArray) -> BoolArray:
        """Return in which of some segments ``[n]`` the teacher can tell anything."""

    @abstractmethod
    def similarities(self, rows: IntArray) -> Float32Array:
        """Return how alike some segments and the classes are, ``[n, C]`` in [-1, 1]; zero where it cannot tell."""

    @property
    @abstractmethod
    def per_segment(self) -> npt.NDArray[Any]:
        """What is stored of each segment, ``[sum T, ...]``."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is written to the file beside videos and lengths, by name."""

    def seen(self, videos: tuple[str, ...]) -> BoolArray:
        """Return ``[N]``, which of ``videos`` the teacher has seen.

        Raises:
            UserError: the teacher has seen none of them.
        """
        seen = np.array([video in self._at for video in videos], dtype=bool)
        if len(seen) and not seen.any():
            raise UserError(
                f"teacher '{self.info.teacher}': has seen none of {len(videos)} videos (such as '{videos[0]}'); "
                "ask it again ('avparse teach')"
            )
        return seen

    def rows(self, videos: tuple[str, ...]) -> IntArray:
        """Return the rows of the segments of ``videos``, one video after the other.

        Raises:
            UserError: the teacher has not seen a video.
        """
        unseen = next((video for video in videos if video not in self._at), None)
        if unseen is not None:
            raise UserError(
                f"teacher '{self.info.teacher}': has not seen video '{unseen}'; ask it again ('avparse teach')"
            )
        at = np.array([self._at[video] for video in videos], dtype=np.int64)
        return segment_rows((np.cumsum(self.lengths) - self.lengths)[at], self.lengths[at])

    def save(self, store: FeatureStore) -> Path:
        """Write the scores beside a store, atomically, in place of earlier ones; return the file.

        Raises:
            UserError: the scores do not fit the store, or the file cannot be written.
        """
        path = scores_path(store, self.info.teacher, self.info.modality)
        self.check(store, path)
        about = {
            "about": self.info.model_dump_json(),
            "videos": json.dumps(self.videos, ensure_ascii=False),
            "sources": json.dumps(["" if v in store.left_out else store.source_sha256(v) for v in self.videos]),
        }
        arrays = {name: np.ascontiguousarray(x) for name, x in {"lengths": self.lengths, **self.arrays()}.items()}
        with atomic_file(path) as file:
            file.write(to_bytes(arrays, {**about, "sha256": scores_digest(arrays, about)}))
        return path

    def check(self, store: FeatureStore, path: Path, sources: Sequence[str] | None = None) -> None:
        """Check that the scores were made for a store; videos that are left out of it now are passed over.

        Args:
            store: feature store that the teacher was run on.
            path: path of the scores.
            sources: digest of the file of each video when the scores were made, empty where it was not known; None if
                no scores were stored yet.

        Raises:
            UserError: the scores are of other classes, of segments of another length, of other videos, or of videos
                that were extracted anew since; ``path`` is named.
        """
        if Vocabulary(self.info.classes) != store.vocabulary:
            raise UserError(f"{path}: made for other classes than the store has; ask the teacher again")
        if self.info.segment_seconds != store.segment_seconds:
            seconds = f"{self.info.segment_seconds:g} s, in the store {store.segment_seconds:g} s"
            raise UserError(f"{path}: its segments last {seconds}; ask the teacher again")
        gone, known = set(store.left_out), [""] * len(self.videos) if sources is None else sources
        for video, length, source in zip(self.videos, self.lengths, known, strict=True):
            if video in gone:
                continue
            segments, now = store.lengths[store.position(video)], store.source_sha256(video)
            if segments != length:
                raise UserError(
                    f"{path}: video '{video}' has {length} segments, in the store {segments}; ask the teacher again"
                )
            if source and now and source != now:
                raise UserError(f"{path}: video '{video}' was extracted anew since; ask the teacher again")

    def _check_shapes(self, expected: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
        """Refuse arrays whose shape is not the expected one: name -> shape, expected shape."""
        shapes = {"lengths": (self.lengths.shape, (len(self.videos),)), **expected}
        for name, (found, right) in shapes.items():
            if found != right:
                wrong = f"'{name}' has shape {found}, expected {right}"
                raise UserError(f"teacher '{self.info.teacher}': {wrong}; ask the teacher again")

    @cached_property
    def _at(self) -> dict[str, int]:
        return {video: position for position, video in enumerate(self.videos)}


def scores_path(store: FeatureStore, teacher: str, modality: str) -> Path:
    """Return the file in which a store keeps the scores of a teacher."""
    return store.path / FOLDER / f"{teacher}.{modality}.safetensors"


def scores_digest(arrays: dict[str, npt.NDArray[Any]], about: dict[str, str]) -> str:
    """Return the checksum of the arrays and the metadata of a file of scores."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    for name in sorted(about):
        found.update(f"{name} {about[name]}\n".encode())
    return found.hexdigest()
