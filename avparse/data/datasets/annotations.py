"""Annotations of a data set: splits, weak labels and, if available, dense events of each modality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray

_TOLERANCE_S = 0.1  # by which tables and decoders may differ about the end of a video
_MOST_NAMED = 5  # events outside one video
YOUTUBE_ID = 11  # characters; published files are often named by the id alone

# (onset, offset, number of segments, length of a segment, end of the last one; seconds) -> segments of the event.
Activity = Callable[[float, float, int, float, float], slice | BoolArray]


def covers_middle(onset: float, offset: float, segments: int, segment_seconds: float, end: float) -> BoolArray:
    """Return the segments ``[T]`` whose middle the event covers; the last segment may be shorter than the others."""
    starts = np.arange(segments) * segment_seconds
    middle = (starts + np.minimum(starts + segment_seconds, end)) / 2
    covered: BoolArray = (onset <= middle) & (middle < offset)
    return covered


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """Annotations of one video.

    Attributes:
        split: "train", "val", "test" or "" where the video is in none.
        weak: ``[C]`` boolean, the classes that occur somewhere in the video, in either modality.
        events: dense truth, every event of both modalities; None if it is unknown.
        file: name of the video in the files of published features: their name without ending, or the number of its row
            in a file of all videos.
    """

    split: str
    weak: BoolArray
    events: tuple[Event, ...] | None
    file: str


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of a data set; every reader in ``avparse.data.datasets.DATASETS`` returns this.

    Attributes:
        vocabulary: classes of the data set, in order.
        videos: annotations of each video by id, in the order of the data set.
        segment_seconds: length of a segment in seconds.
        activity: rule for the segments in which an event is active.
        about: description of the data; a store that is made with them has it if it is given no other.
        notes: one line for each kind of irregularity that the reader met, with the rule that it applied.
        places: file and line of each event of a video, where events must lie inside their videos.
        drawn: whether the splits were drawn, because the data set names none.
    """

    vocabulary: Vocabulary
    videos: Mapping[str, AnnotatedVideo]
    segment_seconds: float = 1.0
    activity: Activity = covers_middle
    notes: tuple[str, ...] = ()
    about: str = ""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drawn: bool = False

    def of_split(self, split: str) -> list[str]:
        """Return the ids of the videos of a split, in order; none where the data set lacks the split."""
        return [name for name, video in self.videos.items() if video.split == split]

    @property
    def has_truth(self) -> bool:
        """Whether the dense truth of any video is known."""
        return any(video.events is not None for video in self.videos.values())

    def with_known_splits(self, splits: Mapping[str, str]) -> Annotations:
        """Return the annotations with the splits that videos have already, where splits were drawn."""
        if not self.drawn:
            return self
        videos = {name: replace(v, split=splits.get(name, v.split)) for name, v in self.videos.items()}
        return replace(self, videos=videos)

    def misplaced(self, video: str, duration: float, segment_seconds: float) -> str:
        """Return which events lie outside a video, by file and line, with a guess of the reason; empty if none does.

        An event may end with the last segment, which the video may fill only partly.

        Args:
            video: id of the video.
            duration: duration of the video in seconds.
            segment_seconds: length of a segment in seconds.
        """
        end = math.ceil(round(duration / segment_seconds, 3)) * segment_seconds
        wrong = [
            f"{place}: {_outside(event, duration)}"
            for place, event in zip(self.places.get(video, ()), self.videos[video].events or (), strict=False)
            if event.offset > end + _TOLERANCE_S
        ]
        more = [f"{len(wrong) - _MOST_NAMED} more"] if len(wrong) > _MOST_NAMED else []
        return "; ".join([*wrong[:_MOST_NAMED], *more])

    def dense(
        self,
        video: str,
        modality: str,
        segments: int,
        segment_seconds: float | None = None,
        duration: float | None = None,
    ) -> BoolArray | None:
        """Return the dense truth of a video in one modality.

        Args:
            video: id of the video.
            modality: "audio" or "visual".
            segments: number T of segments of the video.
            segment_seconds: length of a segment in seconds; None for that of the data set.
            duration: duration of the video in seconds, where the last segment ends; None if that is a whole segment.

        Returns:
            ``[T, C]`` boolean, or None where the video is not annotated.
        """
        events = self.videos[video].events
        if events is None:
            return None
        seconds = self.segment_seconds if segment_seconds is None else segment_seconds
        whole = segments * seconds
        end = whole if duration is None or not whole - seconds < duration < whole else duration
        truth = np.zeros((segments, len(self.vocabulary)), dtype=bool)
        for event in events:
            if event.modality == modality:
                active = self.activity(event.onset, event.offset, segments, seconds, end)
                truth[active, self.vocabulary.index(event.class_name)] = True
        return truth

    def dense_rows(
        self,
        videos: Sequence[str],
        lengths: Sequence[int],
        segment_seconds: float | None = None,
        durations: Sequence[float] | None = None,
    ) -> dict[str, BoolArray]:
        """Return the dense truth of several videos in the form of a store.

        Args:
            videos: ids of the videos.
            lengths: number of segments of each video.
            segment_seconds: length of a segment in seconds; None for that of the data set.
            durations: duration of each video in seconds; None if the last segment of every video is whole.

        Returns:
            Modality -> ``[sum T, C]``, one video after the other; all False for a video that is not annotated.
        """
        ends = [None] * len(videos) if durations is None else durations

        def rows(video: str, modality: str, segments: int, duration: float | None) -> BoolArray:
            dense = self.dense(video, modality, segments, segment_seconds, duration)
            return np.zeros((segments, len(self.vocabulary)), dtype=bool) if dense is None else dense

        return {
            m: np.concatenate([rows(v, m, t, end) for v, t, end in zip(videos, lengths, ends, strict=True)])
            for m in MODALITIES
        }


def _outside(event: Event, duration: float) -> str:
    """Return what is wrong with an event that ends after its video, and what it may mean."""
    span, length = f"{event.onset:g} s to {event.offset:g} s", f"the {duration:g} s of the video"
    if event.onset < duration:
        return f"{span} ends after {length}; mend its offset"
    units = {30: "frames or milliseconds", 1000: "milliseconds"}
    unit = next((unit for rate, unit in units.items() if event.offset / rate <= duration), "")
    guess = f"are these {unit}? Write seconds" if unit else "is it of another video? Mend the row"
    return f"{span} lies outside {length}; {guess}"
