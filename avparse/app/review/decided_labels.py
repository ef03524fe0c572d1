"""Decisions about labels as the table of refined labels that training reads."""

from __future__ import annotations

import numpy as np

from avparse.app.review.log import Action
from avparse.app.review.resolving import Resolved
from avparse.app.review.reviewed import Reviewed
from avparse.data.vocabulary import MODALITIES
from avparse.labels.reviewing.decision import settled
from avparse.labels.reviewing.item import KeyParts
from avparse.labels.reviewing.state import suggestions
from avparse.labels.table import RefinedLabels

_OTHER = {"audio": "seen, not heard", "visual": "heard, not seen"}


def decided_labels(
    reviewed: Reviewed, resolved: Resolved, only_decided: bool = False, propagate: bool = False
) -> RefinedLabels:
    """Return labels with decisions in the place of suggestions.

    Args:
        reviewed: labels under review.
        resolved: one verdict about each label that anybody decided about.
        only_decided: whether labels without a decision stay as they were given; otherwise they keep the suggestion.
        propagate: whether labels without a decision follow the decisions about labels like them, which
            :func:`suggestions` explains.
    """
    decisions = [action.decision() for action in resolved.actions.values()]
    likely = suggestions([row.item for row in reviewed.rows], decisions) if propagate else {}
    table = _Table(reviewed)
    for row in reviewed.rows:
        target = row.target
        if only_decided:
            target = float(row.given)
        elif propagate and likely[row.item.key] != (target >= 0.5):
            target = float(likely[row.item.key])
        same = target == row.target
        reason = row.reason if same else "" if target else "decisions about labels like it"
        table.put(row.item.key, target, row.quality, reason)
    for key, right in settled(decisions).items():
        table.put(key, float(right), float(right), _reason(resolved.actions.get(key), right))
    return table.labels()


def _reason(action: Action | None, right: bool) -> str:
    """Return who decided what; without an action, the decision about the other modality settled the label."""
    if action is None:
        return "" if right else "reviewed in the other modality"
    found = "kept" if right else "removed"
    if action.action == "other_modality":
        found = _OTHER[KeyParts.of(action.key).modality]
    return f"{found} by {action.author}" + (f": {action.note}" if action.note else "")


class _Table:
    """Arrays of a table of refined labels, filled label by label."""

    def __init__(self, reviewed: Reviewed) -> None:
        self._videos, self._classes = tuple(reviewed.videos), reviewed.classes
        self._at = ({v: n for n, v in enumerate(self._videos)}, {c: n for n, c in enumerate(self._classes)})
        shape = (len(self._videos), len(self._classes))
        self._given = np.zeros(shape, dtype=bool)
        self._target = {m: np.zeros(shape, dtype=np.float32) for m in MODALITIES}
        self._quality = {m: np.ones(shape, dtype=np.float32) for m in MODALITIES}
        self._reason = {m: np.full(shape, "", dtype=object) for m in MODALITIES}
        for row in reviewed.rows:
            self._given[self._at[0][row.item.video], self._at[1][row.item.class_name]] |= row.given

    def put(self, key: str, target: float, quality: float, reason: str) -> None:
        parts = KeyParts.of(key)
        at, m = (self._at[0][parts.video], self._at[1][parts.class_name]), parts.modality
        self._target[m][at], self._quality[m][at], self._reason[m][at] = target, quality, reason

    def labels(self) -> RefinedLabels:
        sides = [values[m] for values in (self._target, self._quality, self._reason) for m in MODALITIES]
        return RefinedLabels(self._videos, self._classes, self._given, *sides)
