"""Bootstrap intervals of the ten metrics, by resampling the videos of a split.

The videos are the independent unit, so whole videos are drawn with replacement (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13). The spread over training seeds is not in these intervals.
"""

from __future__ import annotations

import numpy as np

from avparse.evaluation.parsing import METRICS, ParsingScores
from avparse.foundation.arrays import Float64Array
from avparse.foundation.errors import UserError
from avparse.foundation.interval import Interval

_DRAWS = 1 << 22  # number of drawn videos in memory at once


def bootstrap(scores: ParsingScores, repeats: int = 1000, seed: int = 0, level: float = 0.95) -> dict[str, Interval]:
    """Return every metric with the interval that holds the share ``level`` of ``repeats`` resampled values.

    Raises:
        UserError: ``repeats`` is below 1, or ``level`` lies outside (0, 1).
    """
    return _intervals(scores.per_video, repeats, seed, level)


def bootstrap_difference(
    a: ParsingScores, b: ParsingScores, repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Return ``a`` minus ``b`` for every metric, with both systems resampled together (paired by video).

    ``a`` and ``b`` must hold the same videos in the same order. An interval that excludes zero means that they differ.

    Raises:
        UserError: the numbers of videos differ, ``repeats`` is below 1, or ``level`` lies outside (0, 1).
    """
    if a.per_video.shape != b.per_video.shape:
        counts = f"{len(a.per_video)} and {len(b.per_video)}"
        raise UserError(f"the systems were scored on {counts} videos; score both on the same videos, in one order")
    return _intervals(a.per_video - b.per_video, repeats, seed, level)


def _intervals(per_video: Float64Array, repeats: int, seed: int, level: float) -> dict[str, Interval]:
    if repeats < 1:
        raise UserError(f"repeats is {repeats}; give at least 1")
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    means = _resampled_means(per_video, repeats, np.random.default_rng(seed))
    low, high = 100 * np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    values = 100 * per_video.mean(axis=0)
    return {
        name: Interval(float(v), float(a), float(b)) for name, v, a, b in zip(METRICS, values, low, high, strict=True)
    }


def _resampled_means(per_video: Float64Array, repeats: int, rng: np.random.Generator) -> Float64Array:
    """Return the metrics ``[repeats, 10]`` of resampled splits; a resampled split is a weight per video."""
    videos = len(per_video)
    step = max(1, _DRAWS // videos)
    means = []
    for first in range(0, repeats, step):
        size = min(step, repeats - first)
        drawn = rng.integers(videos, size=(size, videos)) + videos * np.arange(size)[:, np.newaxis]
        weights = np.bincount(drawn.ravel(), minlength=size * videos).reshape(size, videos)
        means.append(weights.astype(np.float64) @ per_video / videos)
    return np.concatenate(means)
