"""What a person decides about an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from avparse.labels.reviewing.item import KeyParts


class Verdict(StrEnum):
    """What is true of an item."""

    KEEP = "keep"
    REMOVE = "remove"
    OTHER_MODALITY = "other_modality"  # not heard but seen, or the reverse


@dataclass(frozen=True)
class Decision:
    """The verdict of one person about one item.

    Attributes:
        key: key of the item.
        verdict: finding of the person.
        author: name of the person.
        onset, offset: moved edges of an event, in seconds; None where they stay.
    """

    key: str
    verdict: Verdict
    author: str = ""
    onset: float | None = None
    offset: float | None = None


def other_modality(key: str) -> str | None:
    """Return the key of the same label in the other modality; None for an event, whose twin has no key."""
    parts = KeyParts.of(key)
    if parts.onset is not None:
        return None
    return parts._replace(modality="visual" if parts.modality == "audio" else "audio").key()


def verdict_on(key: str, last: Mapping[str, Decision]) -> bool | None:
    """Return whether an item is right by the last decision about each key; None where nothing settles it.

    "Other modality" says that a label is wrong and that the same label of the other modality is right; it settles the
    latter, too, unless that has a decision of its own.
    """
    if key in last:
        return last[key].verdict is Verdict.KEEP
    twin = other_modality(key)
    moved = twin is not None and twin in last and last[twin].verdict is Verdict.OTHER_MODALITY
    return True if moved else None


def settled(decisions: Iterable[Decision]) -> dict[str, bool]:
    """Return whether each settled item is right, by key (:func:`verdict_on`); of several decisions the last counts."""
    last = {decision.key: decision for decision in decisions}
    keys = dict.fromkeys(last) | dict.fromkeys(filter(None, map(other_modality, last)))
    found = {key: verdict_on(key, last) for key in keys}
    return {key: right for key, right in found.items() if right is not None}
