"""Credit: how much of the difference between two sets of decisions each class is the cause of."""

from __future__ import annotations

import numpy as np

from avparse.evaluation.parsing import METRICS, Counts
from avparse.foundation.arrays import Float64Array


def class_credit(counts: Counts, others: Counts) -> Float64Array:
    """Return by how much every class raises each metric from ``others`` to ``counts``, ``[C, 10]`` in percent.

    The decisions of one class at a time are exchanged between the two, and the metric is computed anew: the mean of
    putting the class into the others' decisions and of keeping it out of these (a difference reward). Where only one
    class differs, its credit is the whole difference.

    Args:
        counts: counts of right, wrong and missed decisions on some videos.
        others: counts of other decisions on the same videos.
    """
    mine, theirs = (_metrics(c) for c in (counts, others))
    credit = np.zeros((counts.right.shape[-1], len(METRICS)))
    for number in range(len(credit)):
        put_in = _metrics(others.with_class(number, counts)) - theirs
        left_out = mine - _metrics(counts.with_class(number, others))
        credit[number] = (put_in + left_out) / 2
    return credit


def _metrics(counts: Counts) -> Float64Array:
    means: Float64Array = 100 * counts.scores().mean(axis=0)
    return means
