"""Scores of a teacher that gives logits of a fixed list of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.data.scores.stored import SegmentScores
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray
from avparse.foundation.errors import UserError


@dataclass(frozen=True, eq=False)
class ScoreTable(SegmentScores):
    """Class logits of some videos by one teacher.

    Attributes:
        table: ``[sum T, C]`` float16 or float32 logits in the order of ``info.classes``; NaN in the whole row of a
            segment of which the teacher cannot tell anything, and in the whole column of a class of ``info.unjudged``.
    """

    table: npt.NDArray[Any]

    def __post_init__(self) -> None:
        self._check_shapes({"logits": (self.table.shape, (int(self.lengths.sum()), len(self.info.classes)))})
        judged = self.info.judged
        if not judged.any():
            raise UserError(f"teacher '{self.info.teacher}': can judge none of the classes; give it others")
        told, unknown = self.table[:, judged], np.isnan(self.table)
        if not (np.isfinite(told) | unknown[:, judged].all(axis=1, keepdims=True)).all():
            raise UserError(
                f"teacher '{self.info.teacher}': a logit is infinite or NaN, though others of its segment are known"
            )
        if not unknown[:, ~judged].all():
            raise UserError(f"teacher '{self.info.teacher}': a logit of a class that it cannot judge; write NaN there")

    def logits(self, rows: IntArray) -> Float32Array:
        """Return the logits ``[n, C]`` of the classes in some segments; zero where the teacher cannot tell."""
        return np.nan_to_num(self.table[rows].astype(np.float32))

    def similarities(self, rows: IntArray) -> Float32Array:
        """Return the probabilities ``[n, C]``, the sigmoid of the logits; zero where the teacher cannot tell."""
        logits = np.clip(self.table[rows].astype(np.float32), -80, 80)
        probabilities: Float32Array = np.nan_to_num(1 / (1 + np.exp(-logits)))
        return probabilities

    def known(self, rows: IntArray) -> BoolArray:
        """Return in which of some segments ``[n]`` the teacher can tell anything."""
        known: BoolArray = ~np.isnan(self.table[:, self.info.judged][rows, 0])
        return known

    @property
    def per_segment(self) -> npt.NDArray[Any]:
        """The logits ``[sum T, C]``."""
        return self.table

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what is written to the file beside videos and lengths, by name."""
        return {"logits": self.table}
