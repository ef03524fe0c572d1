"""Embeddings of a store's segments by frozen teachers, stored next to it, so that pseudo labels take only seconds.

``STORE/teachers/NAME.MODALITY.safetensors`` holds embeddings instead of scores: those of the segments, those of one
prompt per class and, if a method needs them, those of prompts for label subsets. Every score is a product of two
embeddings. Tensors: ``lengths`` [N], ``segments`` [sum T, E], ``texts`` [C, E], ``subset_texts`` [P, E],
``subset_members`` [P, C]; the metadata contain videos, classes, prompts, checkpoint, logit scale and a checksum. The
store itself is not changed. Videos that are appended to it later have no scores until the teacher is run again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.files import atomic_file
from avparse.foundation.reading import RECORDS, check_file, parse_json
from avparse.foundation.settings import Settings

FOLDER = "teachers"
_ROWS = 1 << 15  # number of segments that are multiplied at once


class TeacherInfo(Settings):
    """Description of a teacher.

    Attributes:
        teacher: name of the teacher in recipes.
        checkpoint: name of the network that computed the embeddings.
        logit_scale: factor from a cosine to the logit that the network was trained with.
        segment_seconds: length of a segment in seconds.
        classes: class names, in order.
        prompts: prompt of each class.
        subset_prompts: prompts of label subsets, if any.
    """

    teacher: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,64}$")
    modality: Literal["audio", "visual"]
    checkpoint: str
    logit_scale: float = Field(gt=0)
    segment_seconds: float = Field(gt=0)
    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    subset_prompts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Subsets:
    """Prompts that name several classes, or none.

    Attributes:
        members: classes ``[P, C]`` that each prompt names; a prompt without any stands for "other".
        texts: embeddings ``[P, E]`` of the prompts, of length one.
    """

    members: BoolArray
    texts: Float32Array


@dataclass(frozen=True, eq=False)
class TeacherScores:
    """Embeddings of some videos by one teacher.

    Attributes:
        info: description of the teacher.
        videos: ids of the N videos.
        lengths: number of segments ``[N]`` of each video.
        segments: embeddings ``[sum T, E]`` of the segments, float16 or float32, of length one (zero where there was
            nothing to embed), one video after the other.
        texts: embeddings ``[C, E]`` of the classes' prompts, of length one.
        subsets: prompts of label subsets; None if the teacher was run without them.
    """

    info: TeacherInfo
    videos: tuple[str, ...]
    lengths: IntArray
    segments: npt.NDArray[Any]
    texts: Float32Array
    subsets: Subsets | None = None

    def __post_init__(self) -> None:
        where, size, classes = f"teacher '{self.info.teacher}'", self.texts.shape[-1], len(self.info.classes)
        expected = {
            "prompts": ((len(self.info.prompts),), (classes,)),
            "lengths": (self.lengths.shape, (len(self.videos),)),
            "segments": (self.segments.shape, (int(self.lengths.sum()), size)),
            "texts": (self.texts.shape, (classes, size)),
        }
        if self.subsets is not None:
            count = len(self.info.subset_prompts)
            expected["subset_texts"] = (self.subsets.texts.shape, (count, size))
            expected["subset_members"] = (self.subsets.members.shape, (count, classes))
        for name, (found, right) in expected.items():
            if found != right:
                raise UserError(f"{where}: '{name}' has shape {found}, expected {right}; ask the teacher again")
        for name, vectors in (("segments", self.segments), ("texts", self.texts)):
            length = np.sqrt(np.einsum("ne,ne->n", vectors, vectors, dtype=np.float32))
            if not ((np.abs(length - 1) < 0.01) | ((length == 0) & (name == "segments"))).all():
                raise UserError(f"{where}: '{name}' are not all of length one; normalise them")

    def seen(self, videos: tuple[str, ...]) -> BoolArray:
        """Return ``[N]``, which of ``videos`` have embeddings.

        Raises:
            UserError: no video of the list has embeddings.
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
            UserError: a video has no embeddings.
        """
        unseen = next((video for video in videos if video not in self._at), None)
        if unseen is not None:
            raise UserError(
                f"teacher '{self.info.teacher}': has not seen video '{unseen}'; ask it again ('avparse teach')"
            )
        at = np.array([self._at[video] for video in videos], dtype=np.int64)
        return segment_rows((np.cumsum(self.lengths) - self.lengths)[at], self.lengths[at])

    def cosines(self, rows: IntArray) -> Float32Array:
        """Return the cosines ``[n, C]`` of some segments with the classes' prompts."""
        return self._products(rows, self.texts)

    def subset_cosines(self, rows: IntArray, which: IntArray) -> Float32Array:
        """Return the cosines ``[n, p]`` of some segments with the subset prompts at positions ``which``.

        Raises:
            UserError: the teacher was run without prompts for subsets.
        """
        return self._products(rows, self.known_subsets.texts[which])

    @property
    def known_subsets(self) -> Subsets:
        """The subset prompts.

        Raises:
            UserError: the teacher was run without prompts for subsets.
        """
        if self.subsets is None:
            raise UserError(f"teacher '{self.info.teacher}': has no prompts for label subsets; ask it again with them")
        return self.subsets

    def _products(self, rows: IntArray, texts: Float32Array) -> Float32Array:
        products = np.empty((len(rows), len(texts)), dtype=np.float32)
        for first in range(0, len(rows), _ROWS):
            piece = slice(first, first + _ROWS)
            np.matmul(self.segments[rows[piece]].astype(np.float32), texts.T, out=products[piece])
        return products

    @cached_property
    def _at(self) -> dict[str, int]:
        return {video: position for position, video in enumerate(self.videos)}

    def save(self, store: FeatureStore) -> Path:
        """Write the embeddings next to a store, atomically, replacing earlier ones; return the file.

        Raises:
            UserError: the scores do not fit the store, or the file cannot be written.
        """
        path = _path(store, self.info.teacher, self.info.modality)
        self._check(store, path)
        arrays = {"lengths": self.lengths, "segments": self.segments, "texts": self.texts}
        if self.subsets is not None:
            arrays |= {"subset_texts": self.subsets.texts, "subset_members": self.subsets.members}
        about = {"about": self.info.model_dump_json(), "videos": json.dumps(self.videos, ensure_ascii=False)}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with atomic_file(path) as file:
            file.write(to_bytes(arrays, {**about, "sha256": _digest(arrays, about)}))
        return path

    @classmethod
    def load(cls, store: FeatureStore, teacher: str, modality: str) -> TeacherScores:
        """Read the scores of a teacher for a store.

        Raises:
            UserError: the teacher has no scores in the store (the nearest one that has is offered), the file is
                damaged, or it was made for other classes or other segments than the store has.
        """
        path = _path(store, teacher, modality)
        if not path.is_file():
            known = sorted(p.name.removesuffix(f".{modality}.safetensors") for p in path.parent.glob(f"*.{modality}.*"))
            raise UserError(
                f"{store.path}: no teacher '{teacher}' of {modality} there; run 'avparse teach'"
                + (nearest(teacher, known) if known else "")
            )
        check_file(path)
        try:
            with safe_open(path, framework="np") as file:
                about = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
            seal = about.pop("sha256", "")
            if _digest(arrays, about) != seal:
                raise UserError(f"{path}: its checksum is wrong, so it was changed; ask the teacher again")
            told, videos = (parse_json(about[name], str(path), RECORDS) for name in ("about", "videos"))
            info = TeacherInfo.read(told, str(path))
            subsets = Subsets(arrays["subset_members"], arrays["subset_texts"]) if "subset_texts" in arrays else None
            found = cls(info, tuple(videos), arrays["lengths"], arrays["segments"], arrays["texts"], subsets)
        except (OSError, SafetensorError, KeyError) as error:
            reason = str(error).splitlines()[0][:120]
            raise UserError(f"{path}: cannot be read as a teacher's scores ({reason}); ask the teacher again") from None
        found._check(store, path)
        return found

    def _check(self, store: FeatureStore, path: Path) -> None:
        if Vocabulary(self.info.classes) != store.vocabulary:
            raise UserError(f"{path}: made for other classes than the store has; ask the teacher again")
        if self.info.segment_seconds != store.segment_seconds:
            seconds = f"{self.info.segment_seconds:g} s, in the store {store.segment_seconds:g} s"
            raise UserError(f"{path}: its segments last {seconds}; ask the teacher again")
        where = np.array([store.position(video) for video in self.videos], dtype=np.int64)
        for wrong in np.flatnonzero(store.lengths[where] != self.lengths):
            raise UserError(
                f"{path}: video '{self.videos[wrong]}' has {self.lengths[wrong]} segments, in the store "
                f"{store.lengths[where[wrong]]}; ask the teacher again"
            )


def segment_rows(first: IntArray, lengths: IntArray) -> IntArray:
    """Return the rows of some videos, one after the other: ``first[n] + arange(lengths[n])``."""
    offset = np.cumsum(lengths) - lengths
    rows: IntArray = np.repeat(first - offset, lengths) + np.arange(int(lengths.sum()))
    return rows


def _path(store: FeatureStore, teacher: str, modality: str) -> Path:
    return store.path / FOLDER / f"{teacher}.{modality}.safetensors"


def _digest(arrays: dict[str, npt.NDArray[Any]], about: dict[str, str]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    for name in sorted(about):
        found.update(f"{name} {about[name]}\n".encode())
    return found.hexdigest()
