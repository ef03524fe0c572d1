"""Scores of a teacher that embeds segments and texts in one space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.data.scores.stored import SegmentScores
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray
from avparse.foundation.errors import UserError

_ROWS = 1 << 15  # segments that are multiplied at a time


@dataclass(frozen=True, eq=False)
class Subsets:
    """Prompts that name several classes, or none.

    Attributes:
        members: ``[P, C]``, the classes that a prompt names; a row without any stands for "other".
        texts: ``[P, E]`` embeddings, of length one where those of the classes are.
    """

    members: BoolArray
    texts: Float32Array


@dataclass(frozen=True, eq=False)
class TeacherScores(SegmentScores):
    """Embeddings of some videos by one teacher; every score is a product of two of them.

    Attributes:
        segments: ``[sum T, E]`` float16 or float32 embeddings, zero where there was nothing to embed.
        texts: ``[C, E]`` embeddings of the classes' prompts. All are of length one if ``info.unit_length``.
        subsets: embeddings of prompts for label subsets; None where the teacher was not asked for them.
    """

    segments: npt.NDArray[Any]
    texts: Float32Array
    subsets: Subsets | None = None

    def __post_init__(self) -> None:
        where, size, classes = f"teacher '{self.info.teacher}'", self.texts.shape[-1], len(self.info.classes)
        expected: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
            "prompts": ((len(self.info.prompts),), (classes,)),
            "segments": (self.segments.shape, (int(self.lengths.sum()), size)),
            "texts": (self.texts.shape, (classes, size)),
        }
        if self.subsets is not None:
            count = len(self.info.subset_prompts)
            expected["subset_texts"] = (self.subsets.texts.shape, (count, size))
            expected["subset_members"] = (self.subsets.members.shape, (count, classes))
        self._check_shapes(expected)
        vectors = {"segments": self.segments, "texts": self.texts} if self.info.unit_length else {}
        for name, values in vectors.items():
            length = np.sqrt(np.einsum("ne,ne->n", values, values, dtype=np.float32))
            if not ((np.abs(length - 1) < 0.01) | ((length == 0) & (name == "segments"))).all():
                raise UserError(f"{where}: '{name}' are not all of length one; normalise them")

    def logits(self, rows: IntArray) -> Float32Array:
        """Return the logits ``[n, C]`` of the classes in some segments: the scaled products and the bias."""
        logits = self._products(rows, self.texts)
        logits *= np.float32(self.info.logit_scale)
        logits += np.float32(self.info.logit_bias)
        return logits

    def similarities(self, rows: IntArray) -> Float32Array:
        """Return the cosines ``[n, C]`` of some segments with the classes' prompts."""
        return self.cosines(rows)

    @property
    def per_segment(self) -> npt.NDArray[Any]:
        """The embeddings ``[sum T, E]``."""
        return self.segments

    def known(self, rows: IntArray) -> BoolArray:
        """Return of which of some segments ``[n]`` there is an embedding."""
        known: BoolArray = np.asarray(self.segments.any(axis=1))[rows]
        return known

    def cosines(self, rows: IntArray) -> Float32Array:
        """Return the cosines ``[n, C]`` of some segments with the classes' prompts."""
        return self._cosines(rows, self.texts)

    def subset_cosines(self, rows: IntArray, which: IntArray) -> Float32Array:
        """Return the cosines ``[n, p]`` of some segments with the subset prompts at positions ``which``.

        Raises:
            UserError: the teacher was not asked for subsets.
        """
        return self._cosines(rows, self.known_subsets.texts[which])

    @property
    def known_subsets(self) -> Subsets:
        """The subset prompts.

        Raises:
            UserError: the teacher was not asked for them.
        """
        if self.subsets is None:
            raise UserError(f"teacher '{self.info.teacher}': has no prompts for label subsets; ask it again with them")
        return self.subsets

    def _cosines(self, rows: IntArray, texts: Float32Array) -> Float32Array:
        products = self._products(rows, texts if self.info.unit_length else _of_length_one(texts))
        if not self.info.unit_length:
            lengths = np.linalg.norm(self.segments[rows].astype(np.float32), axis=1, keepdims=True)
            products /= np.where(lengths > 0, lengths, 1)
        return products

    def _products(self, rows: IntArray, texts: Float32Array) -> Float32Array:
        products = np.empty((len(rows), len(texts)), dtype=np.float32)
        for first in range(0, len(rows), _ROWS):
            piece = slice(first, first + _ROWS)
            np.matmul(self.segments[rows[piece]].astype(np.float32), texts.T, out=products[piece])
        return products

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is written to the file beside videos and lengths, by name."""
        arrays: dict[str, npt.NDArray[Any]] = {"segments": self.segments, "texts": self.texts}
        if self.subsets is not None:
            arrays |= {"subset_texts": self.subsets.texts, "subset_members": self.subsets.members}
        return arrays


def _of_length_one(vectors: Float32Array) -> Float32Array:
    scaled: Float32Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled
