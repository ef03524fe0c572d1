"""Items in cells: those of one class and modality with about the same score, which are equal to an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import Float64Array, IntArray
from avparse.labels.reviewing.item import ReviewItem

_BOUND = 6.0  # of a score's logit: a denoiser that says 0 or 1 may be wrong, too
_WIDTH = 1.0  # of a cell, in logits


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of some items.

    Attributes:
        score: logit ``[N]`` of the probability of each item, bounded.
        cell: cell ``[N]`` of each item.
        side: modality ``[K]`` of each cell, 0 for audio and 1 for visual.
        group: class ``[K]`` of each cell, numbered in the order of the items.
        centre: mean score ``[K]`` of the items of each cell.
        size: number ``[K]`` of items in each cell.
        groups: number of classes.
    """

    score: Float64Array
    cell: IntArray
    side: IntArray
    group: IntArray
    centre: Float64Array
    size: IntArray
    groups: int

    @classmethod
    def of(cls, items: Sequence[ReviewItem]) -> Cells:
        """Put items into cells."""
        probability = np.array([item.probability for item in items], dtype=np.float64)
        with np.errstate(divide="ignore"):
            score = np.clip(np.log(probability) - np.log1p(-probability), -_BOUND, _BOUND)
        number = {name: n for n, name in enumerate(dict.fromkeys(item.class_name for item in items))}
        group = np.array([number[item.class_name] for item in items], dtype=np.int64)
        side = np.array([MODALITIES.index(item.modality) for item in items], dtype=np.int64)
        rows = np.stack((side, group, np.floor(score / _WIDTH).astype(np.int64)), axis=-1)
        found, cell = np.unique(rows.reshape(-1, 3), axis=0, return_inverse=True)
        cell = cell.reshape(-1)
        size = np.bincount(cell, minlength=len(found))
        centre = np.bincount(cell, score, minlength=len(found)) / np.maximum(size, 1)
        return cls(score, cell, found[:, 0], found[:, 1], centre, size, len(number))
