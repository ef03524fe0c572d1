"""Events of the same video from elsewhere, the truth or another run, and how they differ from those of a timeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avparse.data.timeline import Event, Timeline, events_of
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array

SHORTEST_S = 1e-3  # shorter differences are roundings: files hold milliseconds
_NAMED = 5
Span = tuple[float, float]
Lanes = dict[tuple[str, str], list[Span]]


@dataclass(frozen=True)
class OtherEvents:
    """Events to compare with.

    Attributes:
        label: short name of where they come from, such as "truth".
        events: the events, in seconds.
        classes: classes that may be among them; None if that is not known and any may.
        modalities: modalities that were judged, of those that the video has.
        segment_seconds: length of the segments that they were decoded from; 0 if they have none.
    """

    label: str
    events: Sequence[Event]
    classes: Collection[str] | None = None
    modalities: Collection[str] = MODALITIES
    segment_seconds: float = 0.0

    @classmethod
    def of_truth(cls, timeline: Timeline, truth: Mapping[str, BoolArray]) -> OtherEvents:
        """Return the events of a dense truth ``[T, C]`` of each modality, on the segments of a timeline."""
        unit, end = timeline.segment_seconds, timeline.duration
        scores: Float32Array
        events = list[Event]()
        for modality, marked in truth.items():
            scores = marked.astype("float32")
            events += events_of(marked, scores, modality, timeline.classes, unit, end)
        return cls("truth", events, timeline.classes, tuple(truth), unit)

    @classmethod
    def of_timeline(cls, label: str, timeline: Timeline) -> OtherEvents:
        """Return the events of another timeline of the video."""
        present = tuple(m for m in MODALITIES if timeline.segments.get(m) is not None)
        return cls(label, timeline.events, timeline.classes, present, timeline.segment_seconds)

    def entry(self, timeline: Timeline, asked: bool) -> dict[str, Any]:
        """Return the data for the page of a timeline, in JSON types; classes are numbers of that timeline.

        Args:
            timeline: timeline of the page.
            asked: whether the page is made for the comparison, so that it lists the differences first.
        """
        lanes = spans_by_lane(self.events)
        return {
            "label": self.label,
            "asked": asked,
            "events": {m: [lanes.get((name, m), []) for name in timeline.classes] for m in MODALITIES},
            "compared": {m: [timeline.classes.index(n) for n in self._compared(timeline, m)] for m in MODALITIES},
            "told": self.told(timeline),
        }

    def told(self, timeline: Timeline) -> str:
        """Return one line about what is not compared or not alike; empty if there is nothing to tell."""
        own = set(timeline.classes)
        there = list(dict.fromkeys(e.class_name for e in self.events) if self.classes is None else self.classes)
        only_there = [name for name in there if name not in own]
        only_here = [] if self.classes is None else [name for name in timeline.classes if name not in self.classes]
        parts = [
            f"only {where}: {_named(names)}"
            for where, names in (("here", only_here), (f"in {self.label}", only_there))
            if names
        ]
        told = [f"Not compared are classes {'; '.join(parts)}."] if parts else []
        unit = self.segment_seconds
        if unit and abs(unit - timeline.segment_seconds) > SHORTEST_S:
            told.append(f"Segments are {timeline.segment_seconds:g} s here and {unit:g} s in {self.label}.")
        return " ".join(told)

    def differences(self, timeline: Timeline) -> Differences:
        """Return how the stored events of a timeline differ from these."""
        ours, theirs, total = spans_by_lane(timeline.events), spans_by_lane(self.events), Differences()
        for modality in MODALITIES:
            for name in self._compared(timeline, modality):
                here, there = (lanes.get((name, modality), []) for lanes in (ours, theirs))
                both = sum(_shared(a, b) for a in here for b in there)
                total += Differences(
                    both,
                    sum(b - a for a, b in here) - both,
                    sum(b - a for a, b in there) - both,
                    sum(all(_shared(a, b) <= SHORTEST_S for b in there) for a in here),
                    sum(all(_shared(a, b) <= SHORTEST_S for b in here) for a in there),
                )
        return total

    def _compared(self, timeline: Timeline, modality: str) -> list[str]:
        """Return the classes of a timeline that both can have in a modality."""
        if timeline.segments.get(modality) is None or modality not in self.modalities:
            return []
        unjudged = timeline.unjudged()[modality]
        return [n for n in timeline.classes if n not in unjudged and (self.classes is None or n in self.classes)]


@dataclass(frozen=True)
class Differences:
    """How two sets of events differ, over all classes and modalities that both can have.

    Attributes:
        both_s: seconds of a class and modality that are in events of both.
        here_s: seconds that are in an event here alone.
        there_s: seconds that are in an event of the other alone.
        only_here: number of events that meet none of the other.
        only_there: number of events of the other that meet none here.
    """

    both_s: float = 0.0
    here_s: float = 0.0
    there_s: float = 0.0
    only_here: int = 0
    only_there: int = 0

    def __add__(self, more: Differences) -> Differences:
        return Differences(
            self.both_s + more.both_s,
            self.here_s + more.here_s,
            self.there_s + more.there_s,
            self.only_here + more.only_here,
            self.only_there + more.only_there,
        )

    @property
    def agreement(self) -> float | None:
        """Share (0..1) of the seconds with an event in either that have one in both; None if there are none."""
        either = self.both_s + self.here_s + self.there_s
        return self.both_s / either if either > SHORTEST_S else None

    def told(self, label: str) -> str:
        """Return one line for people; ``label`` names the other."""
        if self.agreement is None:
            return f"no event here and none in {label}"
        return (
            f"{100 * self.agreement:.0f} % of the seconds agree: {self.both_s:.1f} s in both, {self.here_s:.1f} s only "
            f"here, {self.there_s:.1f} s only in {label}; events only here: {self.only_here}, only in {label}: "
            f"{self.only_there}"
        )


def spans_by_lane(events: Iterable[Event]) -> Lanes:
    """Return onset and offset of the events by class and modality, ordered; those that overlap or touch are one."""
    lanes: Lanes = {}
    for event in sorted(events, key=lambda e: (e.onset, e.offset)):
        spans = lanes.setdefault((event.class_name, event.modality), [])
        if spans and event.onset <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], event.offset))
        else:
            spans.append((event.onset, event.offset))
    return lanes


def _named(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _NAMED} more" if len(classes) > _NAMED else ""
    return ", ".join(name.replace("_", " ") for name in classes[:_NAMED]) + more


def _shared(a: Span, b: Span) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
