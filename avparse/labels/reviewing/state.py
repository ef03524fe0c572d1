"""Items with the decisions about them: what is settled, and how probable every item is right by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from avparse.foundation.arrays import BoolArray, Float64Array, IntArray
from avparse.foundation.errors import UserError
from avparse.labels.reviewing.calibration import Calibration, expected_probability
from avparse.labels.reviewing.cells import Cells
from avparse.labels.reviewing.decision import Decision, other_modality, verdict_on
from avparse.labels.reviewing.item import ReviewItem


class ReviewState:
    """What is known after some decisions; it depends on the last decision about each key, not on their order.

    Attributes:
        items: all items that may be decided about.
        cells: cells of the items.
        decided: whether each item is settled, ``[N]``.
        right: whether each item was found right, ``[N]``; False where it is not settled.

    Args:
        items: items to decide about.
        decisions: decisions that were made already.

    Raises:
        UserError: two items have one key, or a decision is about no item.
    """

    def __init__(self, items: Sequence[ReviewItem], decisions: Iterable[Decision] = ()) -> None:
        self.items = tuple(items)
        self.cells = Cells.of(self.items)
        self.decided, self.right = (np.zeros(len(self.items), dtype=bool) for _ in range(2))
        self._at = {item.key: position for position, item in enumerate(self.items)}
        if len(self._at) < len(self.items):
            repeated = next(item for n, item in enumerate(self.items) if self._at[item.key] != n)
            raise UserError(f"review items: {repeated.key} is there twice; keep one of the two")
        self._last: dict[str, Decision] = {}
        self._calibrations: dict[int, Calibration] = {}
        for decision in decisions:
            self.add(decision)

    def add(self, decision: Decision) -> None:
        """Take a decision; it replaces an earlier one about the same item.

        Raises:
            UserError: the decision is about no item.
        """
        if decision.key not in self._at:
            raise UserError(f"no review item has the key '{decision.key[:80]}'; give the items that were decided about")
        self._last[decision.key] = decision
        for key in (decision.key, other_modality(decision.key)):
            if key in self._at:
                verdict = verdict_on(key, self._last)
                at = self._at[key]
                self.decided[at], self.right[at] = verdict is not None, bool(verdict)
                self._calibrations.pop(int(self.cells.side[self.cells.cell[at]]), None)

    def position(self, key: str) -> int | None:
        """Return the position of an item; None where there is no such item."""
        return self._at.get(key)

    def counts(self) -> tuple[IntArray, IntArray]:
        """Return the numbers ``[K]`` of items of each cell that were found right and that were decided."""
        size = len(self.cells.size)
        found = (np.bincount(self.cells.cell[which], minlength=size) for which in (self.right, self.decided))
        right, decided = found
        return right, decided

    def calibrations(self) -> dict[int, Calibration]:
        """Return the calibration of each modality that has items, 0 for audio and 1 for visual."""
        for side in np.unique(self.cells.side).tolist():
            if side not in self._calibrations:
                self._calibrations[side] = Calibration.fit(self.cells, side, *self.counts())
        return {side: self._calibrations[side] for side in sorted(self._calibrations)}

    def probability(self) -> Float64Array:
        """Return the probability ``[N]`` that each item is right, by its decision or by its score and all decisions."""
        found = self.right.astype(np.float64)
        for side, calibration in self.calibrations().items():
            where = self.waiting(side)
            mean, variance = calibration.logits(self.cells.group[self.cells.cell[where]], self.cells.score[where])
            found[where] = expected_probability(mean, variance)
        return found

    def waiting(self, side: int) -> IntArray:
        """Return the positions of the undecided items of a modality."""
        return np.flatnonzero(~self.decided & (self.cells.side[self.cells.cell] == side))


def suggestions(
    items: Sequence[ReviewItem], decisions: Iterable[Decision] = (), propagate: bool = True
) -> dict[str, bool]:
    """Return for the key of each item whether to keep it.

    Args:
        items: all items that may be decided about.
        decisions: decisions about some of them; the last one about an item counts.
        propagate: whether decisions change what is suggested for undecided items of the same class and modality, and
            less so of other classes; otherwise these are kept where their own probability is at least one half.

    Raises:
        UserError: two items have one key, or a decision is about no item.
    """
    state = ReviewState(items, decisions)
    keep = kept(state, propagate)
    return {item.key: bool(k) for item, k in zip(state.items, keep, strict=True)}


def kept(state: ReviewState, propagate: bool = True) -> BoolArray:
    """Return whether each item of a state is kept, ``[N]``, as :func:`suggestions` does."""
    if propagate:
        keep: BoolArray = state.probability() >= 0.5
        return keep
    own = np.array([item.probability for item in state.items]) >= 0.5
    return np.where(state.decided, state.right, own)
