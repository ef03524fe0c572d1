"""Decisions about events as a table of events that is read as truth."""

from __future__ import annotations

from dataclasses import dataclass, field

from avparse.app.review.log import Action
from avparse.app.review.resolving import Resolved
from avparse.app.review.reviewed import Reviewed
from avparse.app.review.source import Row
from avparse.labels.reviewing.decision import Verdict

_TWIN = {"audio": "visual", "visual": "audio"}


@dataclass(frozen=True)
class DecidedEvents:
    """Events after a review.

    Attributes:
        rows: cells of the table, ``video, class, modality, onset, offset``.
        notes: lines about what the table cannot say.
    """

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decided_events(reviewed: Reviewed, resolved: Resolved, only_decided: bool = False) -> DecidedEvents:
    """Return the events that were kept, with moved edges, and those that nobody decided about.

    An event that is in the other modality is written there.

    Args:
        reviewed: events under review.
        resolved: one verdict about each event that anybody decided about.
        only_decided: whether videos with an event that nobody decided about are left out.
    """
    found = DecidedEvents()
    undecided = {row.item.video for row in reviewed.rows if row.item.key not in resolved.actions}
    spans: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for row in reviewed.rows:
        if only_decided and row.item.video in undecided:
            continue
        event = _decided(row, resolved.actions.get(row.item.key))
        if event is not None:
            (video, name, modality), span = event
            spans.setdefault((video, name, modality), []).append(span)
    for (video, name, modality), of in spans.items():
        found.rows.extend((video, name, modality, f"{a:.3f}", f"{b:.3f}") for a, b in _joined(of))
    left = {row.item.video for row in reviewed.rows} - {row[0] for row in found.rows}
    if only_decided and undecided:
        found.notes.append(f"{len(undecided)} videos have events that nobody decided about and are left out")
    if left - (undecided if only_decided else set()):
        count = len(left - (undecided if only_decided else set()))
        found.notes.append(f"{count} videos have no event any more; a table of events cannot say so and names them not")
    return found


def _decided(row: Row, action: Action | None) -> tuple[tuple[str, str, str], tuple[float, float]] | None:
    """Return video, class and modality of an event, and its edges; None if it was removed."""
    item = row.item
    assert item.onset is not None, "timelines have events"
    assert item.offset is not None, "timelines have events"
    if action is None:
        return (item.video, item.class_name, item.modality), (item.onset, item.offset)
    if action.action == Verdict.REMOVE:
        return None
    modality = _TWIN[item.modality] if action.action == Verdict.OTHER_MODALITY else item.modality
    onset = item.onset if action.onset is None else action.onset
    return (item.video, item.class_name, modality), (onset, item.offset if action.offset is None else action.offset)


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans of one class and modality in order, those that overlap or touch as one."""
    found: list[tuple[float, float]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
