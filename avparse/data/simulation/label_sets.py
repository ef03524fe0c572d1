"""Weak labels: which classes are named together, drawn from label counts, class frequencies and co-occurrence."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from avparse.data.simulation.statistics import LabelStatistics, Split
from avparse.foundation.arrays import BoolArray, Float64Array

_MOST: Final = 5  # sets are enumerated up to this size; a single video of LLP has more labels
_CHANCE: Final = 0.05  # chance pairs added for every counted pair, so that no pair is impossible
_ROUNDS: Final = 60


def lift(statistics: LabelStatistics) -> Float64Array:
    """Return ``[C, C]``: how much more often than by chance two labels go together (1 on the diagonal)."""
    pairs, chance = _pairs(statistics)
    return np.asarray((pairs + np.eye(len(pairs))) / (chance + np.eye(len(pairs))))


def draw_label_sets(
    statistics: LabelStatistics, split: Split, videos: int, generator: np.random.Generator
) -> BoolArray:
    """Draw weak labels ``[videos, C]``.

    The weight of a single label is the number of videos it has alone. That of a set of k is the product of its pair
    counts to the power 1/(k-1), so that each label enters as it does in a pair. Each class then has one factor,
    fitted so that it becomes as frequent as it should be in ``split``.
    """
    tiers = _tiers(statistics)
    counts = statistics.label_counts[split]
    shares = np.zeros(len(tiers) + 1)
    np.add.at(shares, np.minimum(np.arange(len(counts)), len(tiers)), counts)
    members = np.concatenate([sets for sets, _ in tiers])
    probability = _fit(tiers, shares[1:], statistics.frequency[split])
    return members[np.searchsorted(np.cumsum(probability)[:-1], generator.random(videos))].astype(bool)


def _pairs(statistics: LabelStatistics) -> tuple[Float64Array, Float64Array]:
    """Return the counts of pairs with some chance added, and those that chance expects: ``[C, C]``, diagonal 0."""
    off_diagonal = 1 - np.eye(len(statistics.classes))
    pairs = statistics.cooccurrence * off_diagonal
    degree = pairs.sum(1) + 1.0
    chance = np.outer(degree, degree) / degree.sum() * off_diagonal
    return pairs + _CHANCE * chance, chance


def _tiers(statistics: LabelStatistics) -> list[tuple[Float64Array, Float64Array]]:
    """Return, for each number of labels from one, all sets ``[M, C]`` as 0 and 1 and their log weights ``[M]``."""
    classes = len(statistics.classes)
    pairs, _ = _pairs(statistics)
    lone = np.diag(statistics.cooccurrence) - pairs.sum(1)
    tiers = [(np.eye(classes), np.log(np.maximum(lone, 1.0)))]
    log_pairs = np.log(pairs + np.eye(classes))
    for k in range(2, min(_MOST, classes) + 1):
        positions = np.array(list(combinations(range(classes), k)))
        sets = np.zeros((len(positions), classes))
        np.put_along_axis(sets, positions, 1.0, axis=1)
        tiers.append((sets, ((sets @ log_pairs) * sets).sum(1) / (2 * (k - 1))))
    return tiers


def _fit(tiers: list[tuple[Float64Array, Float64Array]], shares: Float64Array, frequency: Float64Array) -> Float64Array:
    """Return the probability of every set, given the share of each tier, such that classes have their ``frequency``."""
    wanted = np.clip(frequency, 1e-6, 1 - 1e-6)
    factor = np.zeros_like(wanted)
    for _ in range(_ROUNDS):
        parts = []
        for (sets, weights), share in zip(tiers, shares, strict=True):
            scores = weights + sets @ factor
            scores = np.exp(scores - scores.max())
            parts.append(share * scores / scores.sum())
        found = sum((p @ sets for p, (sets, _) in zip(parts, tiers, strict=True)), np.zeros_like(wanted))
        found = np.clip(found, 1e-9, 1 - 1e-9)
        change = np.log(wanted / (1 - wanted)) - np.log(found / (1 - found))
        factor += np.clip(change, -1.0, 1.0)
        if np.abs(change).max() < 1e-4:
            break
    return np.concatenate(parts)
