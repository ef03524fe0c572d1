"""The table that every format of events is read to and written from: events of any number of videos."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from avparse.data.made_up import MadeUp
from avparse.data.timeline import Timeline
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.cells import in_line, without_controls
from avparse.foundation.errors import UserError, nearest

_LATEST_S = 1e9  # seconds, some thirty years


@dataclass(frozen=True)
class VideoEvent:
    """One occurrence of a class in one modality of one video.

    Attributes:
        video: name of the video, as in its timeline.
        class_name: name of the class.
        modality: "audio" for an event that is heard, "visual" for one that is seen.
        onset: first second of the event.
        offset: second at which the event is over.
        score: probability of the event, None where nothing tells it.
        trained_on: kind of data of the parser that found it, "simulated" or "synthetic"; empty for real data.
    """

    video: str
    class_name: str
    modality: str
    onset: float
    offset: float
    score: float | None = None
    trained_on: MadeUp = ""

    def milliseconds(self) -> tuple[int, int]:
        """Return onset and offset in whole milliseconds, at least one apart."""
        onset = round(1000 * self.onset)
        return onset, max(round(1000 * self.offset), onset + 1)


@dataclass(frozen=True)
class VideoFacts:
    """What some formats need to know of a video besides its events.

    Attributes:
        duration: duration in seconds, None where unknown.
        media: absolute path of the file, empty where unknown.
        sample_rate: samples of its sound a second, None where it has none or it is unknown.
        frame_rate: pictures a second, None where it has none or it is unknown.
    """

    duration: float | None = None
    media: str = ""
    sample_rate: float | None = None
    frame_rate: float | None = None


@dataclass(frozen=True)
class EventTable:
    """Events of videos.

    Texts that no text file can hold (control characters, halves of surrogate pairs) are escaped as in timelines.

    Attributes:
        events: the events, in any order.
        videos: facts of each video by its name, in order; a video of which only events are known is added at the end.
        notes: lines for people on what of a file that was read is not here.
    """

    events: tuple[VideoEvent, ...]
    videos: Mapping[str, VideoFacts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        events = tuple(map(_writable, self.events))
        known = {without_controls(name): facts for name, facts in self.videos.items()}
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "videos", known | {e.video: VideoFacts() for e in events if e.video not in known})

    @classmethod
    def of(cls, timelines: Iterable[Timeline], media: Mapping[str, str] | None = None) -> EventTable:
        """Return the table of timelines.

        Args:
            timelines: timelines of different videos.
            media: path of the file of each video by its name, where known.
        """
        every = list(timelines)
        events = tuple(
            VideoEvent(t.video, e.class_name, e.modality, e.onset, e.offset, e.score, t.trained_on)
            for t in every
            for e in t.events
        )
        return cls(events, {t.video: VideoFacts(t.duration, (media or {}).get(t.video, "")) for t in every})

    def by_video(self) -> dict[str, list[VideoEvent]]:
        """Return the events of each video in order of time, also of those that have none."""
        found: dict[str, list[VideoEvent]] = {video: [] for video in self.videos}
        for event in sorted(self.events, key=lambda e: (e.onset, e.offset, e.modality, e.class_name)):
            found[event.video].append(event)
        return found

    def with_facts(self, facts: Mapping[str, VideoFacts]) -> EventTable:
        """Return the table with other facts of the videos that are named."""
        return replace(self, videos={**self.videos, **{name: facts[name] for name in self.videos if name in facts}})


def _writable(event: VideoEvent) -> VideoEvent:
    video, name = without_controls(event.video), without_controls(event.class_name)
    return event if (video, name) == (event.video, event.class_name) else replace(event, video=video, class_name=name)


def checked(event: VideoEvent, where: str) -> VideoEvent:
    """Return an event that was read, its class without blanks around it.

    Raises:
        UserError: the event lacks a video or a class, has an unknown modality, or its times or score are not what such
            numbers can be; ``where`` names the place.
    """
    for what, text in (("video", event.video), ("class", event.class_name)):
        if not text.strip():
            raise UserError(f"{where}: no {what} is named; mend the row")
    if event.modality not in MODALITIES:
        raise UserError(f"{where}: unknown modality '{in_line(event.modality)}'{nearest(event.modality, MODALITIES)}")
    if not (math.isfinite(event.onset) and math.isfinite(event.offset) and event.offset <= _LATEST_S):
        raise UserError(f"{where}: onset or offset is not a sensible number of seconds; mend the row")
    if event.onset < 0:
        raise UserError(f"{where}: onset {event.onset:g} s is negative; times count from the start of the video")
    if event.onset >= event.offset:
        raise UserError(
            f"{where}: onset {event.onset:g} s is not before offset {event.offset:g} s; swap or remove the row"
        )
    if event.score is not None and not 0 <= event.score <= 1:
        raise UserError(f"{where}: score {event.score:g} is not between 0 and 1; mend the row")
    name = event.class_name.strip()
    return event if name == event.class_name else replace(event, class_name=name)


def origin(events: Iterable[VideoEvent]) -> MadeUp:
    """Return the kind of data that the parser of events was trained on, the first that is known."""
    return next((event.trained_on for event in events if event.trained_on), "")


def united(events: Iterable[VideoEvent], touching: bool) -> tuple[VideoEvent, ...]:
    """Return events in which those of one video, class and modality that overlap are one.

    The score of such an event is the mean of its parts, weighted by their length, where all have one.

    Args:
        events: the events, in any order.
        touching: whether events that only touch are one as well.
    """

    def kind(event: VideoEvent) -> tuple[str, str, str]:
        return event.video, event.class_name, event.modality

    found: list[VideoEvent] = []
    for _, same in groupby(sorted(events, key=lambda e: (*kind(e), *e.milliseconds())), key=kind):
        parts: list[VideoEvent] = []
        for event in same:
            end = max((part.milliseconds()[1] for part in parts), default=-1)
            begin = event.milliseconds()[0]
            if parts and (begin > end or (begin == end and not touching)):
                found.append(_one(parts))
                parts = []
            parts.append(event)
        found.append(_one(parts))
    return tuple(found)


def _one(parts: list[VideoEvent]) -> VideoEvent:
    if len(parts) == 1:
        return parts[0]
    lengths = [part.offset - part.onset for part in parts]
    scores = [part.score for part in parts if part.score is not None]
    score = sum(s * n for s, n in zip(scores, lengths, strict=False)) / sum(lengths)
    return replace(
        parts[0],
        offset=max(part.offset for part in parts),
        score=score if len(scores) == len(parts) else None,
        trained_on=origin(parts),
    )
