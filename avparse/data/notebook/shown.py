"""What is shown of a timeline; its module imports those of this folder, so they know it by this alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from avparse.data.made_up import MadeUp


class ShownEvent(Protocol):
    """An event of a timeline, :class:`avparse.data.timeline.Event`."""

    @property
    def class_name(self) -> str:
        """Name of the class."""

    @property
    def modality(self) -> str:
        """Modality, "audio" or "visual"."""

    @property
    def onset(self) -> float:
        """First second of the event."""

    @property
    def offset(self) -> float:
        """Second at which the event is over."""

    @property
    def score(self) -> float:
        """Probability of the event."""


class ShownTimeline(Protocol):
    """A timeline, :class:`avparse.data.timeline.Timeline`."""

    @property
    def video(self) -> str:
        """Name of the video."""

    @property
    def duration(self) -> float:
        """Duration of the video in seconds."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""

    @property
    def events(self) -> Sequence[ShownEvent]:
        """Events of both modalities."""

    @property
    def warnings(self) -> Sequence[object]:
        """Parts of the file that cannot be trusted."""

    @property
    def trained_on(self) -> MadeUp:
        """Kind of data of the parser; empty for real data."""


def shown_classes(timeline: ShownTimeline) -> list[str]:
    """Return the classes that have events, in the order of the timeline."""
    active = {event.class_name for event in timeline.events}
    return [name for name in timeline.classes if name in active] + sorted(active - set(timeline.classes))
