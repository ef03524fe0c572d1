"""The active order: the next item is the one whose answer is expected to remove most wrong labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from avparse.foundation.arrays import Float64Array, IntArray
from avparse.labels.reviewing.calibration import Calibration, expected_probability
from avparse.labels.reviewing.decision import Decision
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.state import ReviewState

_ANSWERS = (1, 4, 16)  # answers in one cell that are looked ahead: a single one seldom turns a group
_FINE = 256  # entries of the table of (E|d + Z| - d) / 2 for each unit of d


def _gains() -> Float64Array:
    """Return ``(E|d + Z| - d) / 2`` of a standard normal Z for d from 0 to 6, and at last zero for all beyond."""
    d = (torch.arange(6 * _FINE, dtype=torch.float64) + 0.5) / _FINE
    gain = torch.exp(-d * d / 2) / np.sqrt(2 * np.pi) - d * torch.special.ndtr(-d)
    return np.append(gain.numpy(), 0.0)


_GAIN = _gains()


class ActiveOrder:
    """Most informative first: what an answer settles itself, and what it is expected to mend among undecided items.

    An undecided item is wrong by its suggestion with probability ``min(p, 1 - p)``. An answer removes that of its own
    item, and changes the probabilities of all items that share its class and modality, and less so of other classes
    (:mod:`avparse.labels.reviewing.calibration`): some suggestions turn, and the next answers are better spent. The
    expected number of wrong labels that all this removes is the value of an item. Everything is a function of the items
    and of the last decision about each, so the order goes on from stored decisions as if it had never stopped.

    Args:
        items: items to decide about, in an order that decides between equals.

    Raises:
        UserError: two items have one key.

    Example:
        >>> items = [ReviewItem("a", "Dog", "audio", 0.99), ReviewItem("b", "Dog", "audio", 0.6)]
        >>> order = ActiveOrder(items)
        >>> order.next().video
        'b'
    """

    def __init__(self, items: Sequence[ReviewItem]) -> None:
        self._state = ReviewState(items)
        self._value: Float64Array | None = None

    def decided(self, decision: Decision) -> None:
        """Take a decision; it replaces an earlier one about the same item.

        Raises:
            UserError: the decision is about no item.
        """
        self._state.add(decision)
        self._value = None

    def next(self, skip: Collection[str] = ()) -> ReviewItem | None:
        """Return the undecided item of highest value; None where all are decided.

        Args:
            skip: keys of items to leave out, such as those that others are looking at.
        """
        if self._value is None:
            self._value = self.values()
        value = self._value
        left_out = [at for at in map(self._state.position, skip) if at is not None]
        if left_out:
            value = value.copy()
            value[left_out] = -1
        if not len(value) or value.max() < 0:
            return None
        return self._state.items[int(value.argmax())]

    def values(self) -> Float64Array:
        """Return the value ``[N]`` of each item in expected wrong labels; -1 where it is decided."""
        state, cells = self._state, self._state.cells
        waiting, probability = cells.size - state.counts()[1], state.probability()
        own = np.minimum(probability, 1 - probability)
        price = float(own[~state.decided].max(initial=0.0))  # what an answer would remove elsewhere
        shared = np.zeros(len(cells.size))
        for side, calibration in state.calibrations().items():
            mine = np.flatnonzero((cells.side == side) & (waiting > 0))
            asked = (cells.group[mine], cells.centre[mine], waiting[mine])
            shared[mine] = shared_value(calibration, *asked, price)
        return np.where(state.decided, -1.0, own + shared[cells.cell])


def shared_value(
    calibration: Calibration, group: IntArray, score: Float64Array, waiting: IntArray, price: float
) -> Float64Array:
    """Return how many wrong labels an answer about an item of each cell is expected to save elsewhere, ``[K]``.

    An undecided item costs ``min(p, 1 - p, price)``: it stays as suggested, or is asked about. An answer moves the
    expected probability of a cell, which is a martingale, by a step that is taken as normal. It saves where the step
    crosses one half, so that the suggestion changes, or where it crosses the price, so that items turn out to be worth
    an answer, or not (the knowledge gradient: Frazier, Powell, Dayanik, "A Knowledge-Gradient Policy for Sequential
    Information Collection", 2008). Of several numbers of answers in a cell the one that saves most an answer counts.

    Args:
        calibration: posterior of shift and slope of each class.
        group: class ``[K]`` of each cell.
        score: mean score ``[K]`` of the items of each cell.
        waiting: number ``[K]`` of undecided items in each cell, above zero.
        price: expected wrong labels, at most one half, that an answer removes elsewhere.
    """
    mean, variance = calibration.logits(group, score)
    probability = expected_probability(mean, variance)
    uncertain = probability * (1 - probability)
    slope = uncertain / np.sqrt(1 + np.pi * variance / 8)
    moved = np.abs(calibration.covariances(group, score)) * slope  # [asked, moved]
    distances = np.abs(probability - price), np.abs(probability - (1 - price))
    best = np.zeros(len(score))
    for answers in _ANSWERS:
        asked = np.minimum(answers, waiting)
        step = moved / np.sqrt(variance + 1 / (asked * np.maximum(uncertain, 1e-6)))[:, None]
        saved = sum(_crossing(distance, step) for distance in distances)
        best = np.maximum(best, saved @ waiting / asked)
    return best


def _crossing(distance: Float64Array, step: Float64Array) -> Float64Array:
    """Return ``(E|d + s Z| - d) / 2`` for a standard normal Z, distances d ``[K]`` and steps s ``[J, K]``."""
    position = distance / np.maximum(step, 1e-12) * _FINE
    known = np.minimum(position, len(_GAIN) - 1).astype(np.int64)
    gain: Float64Array = step * _GAIN[known]
    return gain
