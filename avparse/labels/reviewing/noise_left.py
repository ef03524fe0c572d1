"""How many labels are still wrong after some decisions, with an interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float64Array
from avparse.foundation.errors import UserError
from avparse.foundation.interval import Interval
from avparse.labels.reviewing.decision import Decision
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.state import ReviewState, kept

BOTH = "both"


@dataclass(frozen=True)
class NoiseLeft:
    """Estimated share of wrong labels, in percent, with intervals; by modality and for ``both`` together.

    A modality without such labels is left out.

    Attributes:
        level: probability that an interval holds the real share.
        kept: share of wrong labels among those that are kept, decided ones included.
        undecided: share of wrong suggestions among undecided items, which keep a wrong label or drop a right one.
    """

    level: float
    kept: Mapping[str, Interval]
    undecided: Mapping[str, Interval]


def noise_left(
    items: Sequence[ReviewItem],
    decisions: Iterable[Decision] = (),
    *,
    propagate: bool = True,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> NoiseLeft:
    """Estimate how many labels are wrong in the table that :func:`suggestions` leaves.

    Each draw samples the calibration of each modality from its posterior, then for every undecided item whether it is
    right; the interval holds the middle ``level`` of the resulting shares. It covers both what is not known about the
    calibration and the chance in the labels themselves.

    Assumptions: (1) decisions are right; (2) items of a class and modality with one score are right equally often,
        decided or not, and independently of each other: the order may choose items by score, class and earlier
        decisions, but a reviewer must not pass over the hard ones; (3) the logit of that probability is linear in the
        logit of the score, with deviations between classes of the size that
        :mod:`avparse.labels.reviewing.calibration` expects. Where scores level off instead, the interval is too narrow
        (``docs/results/reviewing.md``): count a random sample of the labels beside it.

    Args:
        items: all items that may be decided about.
        decisions: decisions about some of them; the last one about an item counts.
        propagate: whether suggestions follow the decisions, as in :func:`suggestions`.
        level: probability that an interval should hold the real share.
        draws: number of random draws.
        seed: seed of the random draws.

    Raises:
        UserError: two items have one key, a decision is about no item, or ``level`` lies outside (0, 1).
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    state = ReviewState(items, decisions)
    keep, side = kept(state, propagate), state.cells.side[state.cells.cell]
    wrong = _drawn(state, keep, draws, np.random.default_rng(seed))
    found: dict[str, dict[str, Interval]] = {"kept": {}, "undecided": {}}
    for number, modality in enumerate((*MODALITIES, BOTH)):
        sides = [number] if modality in MODALITIES else list(range(len(MODALITIES)))
        mine = np.isin(side, sides)
        for name, whole, drawn in (
            ("kept", mine & keep, wrong[sides, 1]),
            ("undecided", mine & ~state.decided, wrong[sides].sum(axis=1)),
        ):
            if whole.any():
                found[name][modality] = _interval(drawn.sum(axis=0) / whole.sum(), level)
    return NoiseLeft(level, found["kept"], found["undecided"])


def _drawn(state: ReviewState, keep: BoolArray, draws: int, random: np.random.Generator) -> Float64Array:
    """Return drawn numbers ``[2, 2, draws]`` of wrong suggestions: by modality, and of dropped and of kept items."""
    cells, wrong = state.cells, np.zeros((len(MODALITIES), 2, draws))
    for side, calibration in state.calibrations().items():
        weights, waiting = calibration.draw(draws, random), state.waiting(side)
        for kept_ones in (0, 1):
            which = waiting[keep[waiting] == kept_ones]
            cell, place = np.unique(cells.cell[which], return_inverse=True)
            size = np.bincount(place)
            score = np.bincount(place, cells.score[which]) / size  # those of one cell differ little
            drawn = weights[:, cells.group[cell]]  # [draws, K, 2]
            right = 1 / (1 + np.exp(-(score + drawn[..., 0] + drawn[..., 1] * score)))
            wrong[side, kept_ones] = random.binomial(size, 1 - right if kept_ones else right).sum(axis=1)
    return wrong


def _interval(share: Float64Array, level: float) -> Interval:
    low, high = np.quantile(100 * share, [(1 - level) / 2, (1 + level) / 2])
    return Interval(100 * float(share.mean()), float(low), float(high))
