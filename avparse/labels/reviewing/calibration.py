"""How often items are right, given their scores and what was decided so far.

The logit of the probability that an item is right is ``s + a + b s``, where ``s`` is the logit of its score. ``a`` and
``b`` are sums of a part that a modality's classes share and a part of each class; all have normal priors around zero,
so without decisions the score stands as it is, and a class with few decisions follows the others. How much classes
differ is not known before, either: the posterior is an average over several deviations of their parts, weighted by how
well each explains the decisions (the evidence, by Laplace's approximation). Which items were decided does not bias it,
as long as they were chosen by score, class and earlier decisions alone, because it conditions on all of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avparse.foundation.arrays import Float64Array, IntArray
from avparse.foundation.logistic import LogisticFit, fit_logistic
from avparse.labels.reviewing.cells import Cells

# Possible deviations of the normal priors: of the shared shift and slope, and of those of each class.
_SHARED = ((0.1, 0.05), (0.3, 0.15), (0.6, 0.3), (1.2, 0.6))
_OWN = ((0.1, 0.05), (0.3, 0.1), (0.6, 0.2), (1.2, 0.4))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Normal posterior of shift ``a`` and slope ``b`` of each class, in one modality.

    Attributes:
        mean: posterior mean ``[C, 2]``.
        covariance: posterior covariance ``[C, 2, C, 2]``.
    """

    mean: Float64Array
    covariance: Float64Array

    @classmethod
    def fit(cls, cells: Cells, side: int, right: IntArray, decided: IntArray) -> Calibration:
        """Fit on the decided items of one modality.

        Args:
            cells: cells of all items.
            side: modality, 0 for audio and 1 for visual.
            right: number ``[K]`` of items in each cell that were found right.
            decided: number ``[K]`` of items in each cell that were decided.
        """
        known = np.flatnonzero((cells.side == side) & (decided > 0))
        group, score, classes = cells.group[known], cells.centre[known], cells.groups
        own = _design(group, score, classes)
        x = np.concatenate((own.reshape(-1, classes, 2).sum(axis=1), own), axis=1)  # shared terms, and those of a class
        deviation = [(*shared, *own * classes) for shared, own in zip(_SHARED, _OWN, strict=True)]
        penalty = torch.tensor(deviation, dtype=torch.float64) ** -2  # [D, P]
        parts = (x, right[known] / decided[known], score, decided[known])
        rows, share, offset, count = (torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in parts)
        fit = fit_logistic(rows, share, penalty, offset, count)
        weight = _evidence(fit, rows, share, penalty, offset, count).softmax(dim=0)[:, None]
        mean = (weight * fit.weights).sum(dim=0)
        apart = fit.weights - mean
        covariance = (weight[..., None] * (fit.covariance + apart[:, :, None] * apart[:, None])).sum(dim=0)
        sums = np.concatenate((np.tile(np.eye(2), (classes, 1)), np.eye(2 * classes)), axis=1)  # shared and own
        shape = (classes, 2, classes, 2)
        return cls((sums @ mean.numpy()).reshape(-1, 2), (sums @ covariance.numpy() @ sums.T).reshape(shape))

    def logits(self, group: IntArray, score: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return mean and variance of the logits of items of the given classes and scores, each ``[N]``."""
        own = np.einsum("cicj->cij", self.covariance)[group]
        mean = score + self.mean[group, 0] + self.mean[group, 1] * score
        variance: Float64Array = own[:, 0, 0] + 2 * score * own[:, 0, 1] + score**2 * own[:, 1, 1]
        return mean, variance

    def covariances(self, group: IntArray, score: Float64Array) -> Float64Array:
        """Return the covariance ``[K, K]`` of the logits of items of the given classes and scores, each ``[K]``."""
        x, size = _design(group, score, len(self.mean)), self.mean.size
        found: Float64Array = x @ self.covariance.reshape(size, size) @ x.T
        return found

    def draw(self, count: int, random: np.random.Generator) -> Float64Array:
        """Return ``count`` drawn shifts and slopes, ``[count, C, 2]``."""
        size = self.mean.size
        covariance = self.covariance.reshape(size, size)
        drawn = random.multivariate_normal(self.mean.ravel(), covariance, count, method="cholesky")
        return drawn.reshape(count, *self.mean.shape)


def _design(group: IntArray, score: Float64Array, classes: int) -> Float64Array:
    """Return the factors ``[K, 2 C]`` of shift and slope of each class in the logits of items."""
    x = np.zeros((len(score), classes, 2))
    x[np.arange(len(score)), group] = np.stack((np.ones(len(score)), score), axis=-1)
    return x.reshape(len(score), 2 * classes)


def _evidence(fit: LogisticFit, x: Tensor, share: Tensor, penalty: Tensor, offset: Tensor, count: Tensor) -> Tensor:
    """Return the logarithm ``[D]`` of how probable the decisions are with each prior, up to a common constant."""
    logit = offset + fit.weights @ x.T
    likelihood = (count * (share * logit - functional.softplus(logit))).sum(dim=-1)
    prior = (penalty.log() - penalty * fit.weights**2).sum(dim=-1) / 2
    evidence: Tensor = likelihood + prior + torch.linalg.slogdet(fit.covariance).logabsdet / 2
    return evidence


def expected_probability(mean: Float64Array, variance: Float64Array) -> Float64Array:
    """Return the mean of the sigmoid of normal logits (MacKay, "The evidence framework", 1992, equation 21)."""
    probability: Float64Array = 1 / (1 + np.exp(-mean / np.sqrt(1 + np.pi * variance / 8)))
    return probability
