"""Distributions of the timelines of an event on the LLP grid, in one modality and in both together.

With a grid of G segments there are 2^G - 1 timelines that are not empty. Each class and modality has the distribution
of largest entropy over them that keeps the counted histograms, and a class that is both heard and seen the joint
distribution of largest entropy that keeps the two single ones, the share of equal timelines and the mean IoU.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from avparse.data.simulation.statistics import LabelStatistics, TimelineStatistics
from avparse.foundation.arrays import BoolArray, Float64Array

_SWEEPS: Final = 60
_ROUNDS: Final = 40
_ATTAINABLE: Final = 0.97
_NEGLIGIBLE: Final = 1e-6


@dataclass(frozen=True)
class TimelineModel:
    """Distributions over the K timelines of the grid.

    Attributes:
        timelines: timelines ``[K, G]``, by rising number of active segments.
        audio, visual: probability ``[C, K]`` of each timeline in the modality.
        iou: intersection over union ``[K, K]`` of every two timelines.
        partner, tilt, same: the probability of visual timeline j given audio timeline i of class c is proportional to
            ``partner[c, j] * exp(tilt[c] * iou[i, j])``, and to ``partner[c, j] * exp(same[c])`` where i = j.
    """

    timelines: BoolArray
    audio: Float64Array
    visual: Float64Array
    iou: Float64Array
    partner: Float64Array
    tilt: Float64Array
    same: Float64Array

    def draw(self, modality: str, c: int, uniform: Float64Array) -> npt.NDArray[np.int_]:
        """Return timelines ``[n]`` of class ``c`` for uniform numbers ``[n]``."""
        cumulative = np.cumsum(getattr(self, modality)[c])
        return np.asarray(np.searchsorted(cumulative[:-1], uniform * cumulative[-1]))

    def draw_visual(self, c: int, audio: npt.NDArray[np.int_], uniform: Float64Array) -> npt.NDArray[np.int_]:
        """Return visual timelines ``[n]`` that go with the ``audio`` timelines ``[n]`` of the same events."""
        given, row = np.unique(audio, return_inverse=True)
        weights = self.partner[c] * np.exp(self.tilt[c] * self.iou[given])
        weights[np.arange(len(given)), given] = self.partner[c, given] * np.exp(self.same[c])
        cumulative = np.cumsum(weights, axis=1)
        cumulative /= cumulative[:, -1:]
        # One search for all: row r of the cumulative sums lies between r and r + 1.
        places = np.searchsorted((cumulative + np.arange(len(given))[:, None]).ravel(), row + uniform)
        last = weights.shape[1] - 1
        return np.asarray(np.minimum(places - row * (last + 1), last))


@functools.lru_cache(maxsize=4)
def fit_timelines(statistics: LabelStatistics) -> TimelineModel:
    """Fit the distributions of all classes (a few seconds for LLP; kept for the next call)."""
    grid = statistics.audio.active.shape[1]
    timelines = (np.arange(1, 2**grid)[:, None] >> np.arange(grid)) % 2 == 1
    timelines = timelines[np.argsort(timelines.sum(1), kind="stable")]
    audio, visual = (_fit_single(timelines, of) for of in (statistics.audio, statistics.visual))
    meeting = timelines.astype(np.float64) @ timelines.T
    active = timelines.sum(1)
    iou = meeting / (active[:, None] + active - meeting)
    fits = [
        _fit_joint(audio[c], visual[c], iou, statistics.identical[c], statistics.iou[c])
        for c in range(len(statistics.classes))
    ]
    partner, tilt, same = (np.array(part) for part in zip(*fits, strict=True))
    return TimelineModel(timelines, audio, visual, iou, partner, tilt, same)


def _fit_single(timelines: BoolArray, of: TimelineStatistics) -> Float64Array:
    """Return ``[C, K]`` probabilities of largest entropy with the histograms of ``of`` (iterative scaling)."""
    idle = np.zeros((len(timelines), 1), dtype=bool)
    onset = timelines & ~np.hstack([idle, timelines[:, :-1]])
    offset = timelines & ~np.hstack([timelines[:, 1:], idle])
    partitions = [
        (np.eye(hist.shape[1] + 1)[np.minimum(counts, hist.shape[1])][:, 1:], hist / hist.sum(1, keepdims=True))
        for counts, hist in ((timelines.sum(1), of.active), (onset.sum(1), of.runs))
    ]
    edges = [
        (where[:, t], np.clip(hist[:, t] / of.videos, 0.0, 1.0))
        for where, hist in ((onset, of.onsets), (offset, of.offsets))
        for t in range(timelines.shape[1])
    ]
    p = np.full((len(of.videos), len(timelines)), 1.0 / len(timelines))
    for _ in range(_SWEEPS):
        for here, share in edges:
            found = p[:, here].sum(1)
            p[:, here] *= _ratio(share, found)[:, None]
            p[:, ~here] *= _ratio(1 - share, 1 - found)[:, None]
        for member, wanted in partitions:
            p *= _ratio(wanted, p @ member) @ member.T
    return np.asarray(p / p.sum(1, keepdims=True))


def _fit_joint(
    audio: Float64Array, visual: Float64Array, iou: Float64Array, identical: float, mean_iou: float
) -> tuple[Float64Array, float, float]:
    """Return ``partner`` ``[K]``, ``tilt`` and ``same`` of one class (see :class:`TimelineModel`).

    Sinkhorn scaling keeps the two single distributions; a Newton step on each of the two exponents follows every
    scaling. Figures that the single distributions do not admit are approached as far as the bounds allow.
    """
    heard, seen = np.flatnonzero(audio > _NEGLIGIBLE), np.flatnonzero(visual > _NEGLIGIBLE)
    p, q, near = audio[heard], visual[seen], iou[np.ix_(heard, seen)]
    equal = heard[:, None] == seen
    rest = np.where(equal, 0.0, near)
    rest_iou = (mean_iou - identical) / (1 - identical)
    identical = min(identical, _ATTAINABLE * np.minimum(audio, visual).sum())
    v, tilt, same = q.copy(), 0.0, 0.0
    for _ in range(_ROUNDS):
        kernel = np.exp(np.where(equal, same, tilt * near))
        for _ in range(3):
            u = p / (kernel @ v)
            v = q / (u @ kernel)
        joint = u[:, None] * kernel * v
        alike = float(np.clip(joint[equal].sum(), 1e-9, 1 - 1e-9))
        mean = (joint * rest).sum() / (1 - alike)
        spread = (joint * rest**2).sum() / (1 - alike) - mean**2
        odds = identical * (1 - alike) / (alike * (1 - identical))
        same += float(np.clip(np.log(odds), -0.5, 0.5))
        tilt += float(np.clip((rest_iou - mean) / spread, -0.5, 0.5))
    partner = np.zeros_like(visual)
    partner[seen] = v
    return partner, tilt, same


def _ratio(wanted: Float64Array, found: Float64Array) -> Float64Array:
    return np.divide(wanted, found, out=np.zeros_like(found), where=found > 1e-300)
