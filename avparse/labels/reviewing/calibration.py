"""How often items are right, given their scores and what was decided so far.

The logit of the probability that an item is right is ``s + a + b s``, where ``s`` is the logit of its score. ``a`` and
``b`` are sums of a part that a modality's classes share and a part of each class; all have normal priors around zero,
so without decisions the score stands as it is, and a class with few decisions follows the others. The posterior is
approximated by a normal distribution around its maximum (Laplace). Which items were decided does not bias it, as long
as they were chosen by score, class and earlier decisions alone, because it conditions on all of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from avparse.foundation.arrays import Float64Array, IntArray
from avparse.foundation.logistic import fit_logistic
from avparse.labels.reviewing.cells import Cells

# Deviations of the normal priors.
_SHARED_SHIFT, _SHARED_SLOPE = 1.0, 0.5
_OWN_SHIFT, _OWN_SLOPE = 0.75, 0.3


@dataclass(frozen=True, eq=False)
class Calibration:
    """Normal posterior of the weights of one modality.

    The weights are shared shift and slope, then the shift of each class, then the slope of each class.

    Attributes:
        mean: posterior mean ``[P]``.
        covariance: posterior covariance ``[P, P]``.
    """

    mean: Float64Array
    covariance: Float64Array

    @classmethod
    def fit(cls, x: Float64Array, score: Float64Array, right: IntArray, decided: IntArray) -> Calibration:
        """Fit on decided items.

        Args:
            x: design ``[K, P]`` of the cells, from :func:`design`.
            score: mean score ``[K]`` of the cells.
            right: number ``[K]`` of items in each cell that were found right.
            decided: number ``[K]`` of items in each cell that were decided.
        """
        some = decided > 0
        classes = (x.shape[1] - 2) // 2
        deviation = np.repeat((_SHARED_SHIFT, _SHARED_SLOPE, _OWN_SHIFT, _OWN_SLOPE), (1, 1, classes, classes))
        share = right[some] / decided[some]
        parts = (x[some], share, 1 / deviation**2, score[some], decided[some])
        fit = fit_logistic(*(torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in parts))
        return cls(fit.weights.numpy(), fit.covariance.numpy())

    def logits(self, x: Float64Array, score: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return mean and variance ``[K]`` of the logits of items with design ``[K, P]`` and scores ``[K]``."""
        variance: Float64Array = ((x @ self.covariance) * x).sum(axis=1)
        return score + x @ self.mean, variance


def design(group: IntArray, score: Float64Array, classes: int) -> Float64Array:
    """Return the design ``[K, 2 + 2 C]`` of items of classes ``group`` with scores ``score``, both ``[K]``."""
    own = np.eye(classes)[group]
    shared = np.stack((np.ones(len(score)), score), axis=-1)
    return np.concatenate((shared, own, own * score[:, None]), axis=1)


def expected_probability(mean: Float64Array, variance: Float64Array) -> Float64Array:
    """Return the mean of the sigmoid of normal logits (MacKay, "The evidence framework", 1992, equation 21)."""
    probability: Float64Array = 1 / (1 + np.exp(-mean / np.sqrt(1 + np.pi * variance / 8)))
    return probability


def calibrations(cells: Cells, right: IntArray, decided: IntArray) -> list[tuple[IntArray, Float64Array, Calibration]]:
    """Return cells, their design and the calibration of each modality that has items.

    Args:
        cells: cells of all items.
        right: number ``[K]`` of items in each cell that were found right.
        decided: number ``[K]`` of items in each cell that were decided.
    """
    found = []
    for side in np.unique(cells.side):
        mine = np.flatnonzero(cells.side == side)
        x, score = design(cells.group[mine], cells.centre[mine], cells.groups), cells.centre[mine]
        found.append((mine, x, Calibration.fit(x, score, right[mine], decided[mine])))
    return found
