"""Timelines and events, and conversion of decisions per segment ``[T, C]`` to events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avparse.data.judged import told_judges
from avparse.data.made_up import MadeUp, made_up, warning
from avparse.data.notebook.frame import events_frame
from avparse.data.notebook.lanes import lanes_html
from avparse.data.notebook.plot import draw_lanes
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.cells import without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_json
from avparse.foundation.reading import RECORDS, read_json
from avparse.media.decoding.problems import MediaWarning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

_SHOWN = 20  # events in the text of a timeline: one screen


@dataclass(frozen=True)
class Event:
    """One occurrence of a class in one modality; ``onset`` (inclusive) and ``offset`` (exclusive) in seconds."""

    class_name: str
    modality: str
    onset: float
    offset: float
    score: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the event with the key ``class`` that the JSON timeline uses."""
        values = asdict(self)
        return {"class": values.pop("class_name"), **values}


def runs(active: BoolArray) -> list[tuple[int, int]]:
    """Return the maximal runs of ones of a vector ``[T]`` as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], np.asarray(active, dtype=bool), [False]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def events_of(
    decisions: BoolArray,
    scores: Float32Array,
    modality: str,
    classes: Sequence[str],
    segment_seconds: float,
    duration: float,
) -> list[Event]:
    """Turn decisions ``[T, C]`` into events; the score of an event is the mean of its segments' ``scores`` ``[T, C]``.

    The last event ends at ``duration`` (seconds) where the last segment is only partly filled.
    """
    found = [
        Event(
            class_name=name,
            modality=modality,
            onset=first * segment_seconds,
            offset=min(last * segment_seconds, duration),
            score=float(scores[first:last, c].mean()),
        )
        for c, name in enumerate(classes)
        for first, last in runs(decisions[:, c])
    ]
    return sorted(found, key=lambda e: (e.onset, e.offset, e.class_name))


@dataclass(frozen=True, repr=False)
class Timeline:
    """The parse of one video.

    Attributes:
        video: name or path of the video.
        duration: duration of the video in seconds.
        segment_seconds: length of a segment in seconds.
        classes: class names, in the order of the columns of ``segments``.
        segments: probabilities ``[T, C]`` of each modality, NaN for a class that the parser could not judge there;
            ``None`` for a modality that the video lacks.
        events: decoded events of both modalities, ordered by onset.
        attention: attention ``[T, C]`` of each class over the segments, by modality, if the parser decodes by
            attention; None otherwise.
        media_start: seconds that the file's own clock shows at time 0 of the timeline; players that keep to that clock
            show second ``t`` of the timeline at ``media_start + t``.
        warnings: parts of the file that cannot be trusted; empty for an undamaged file.
        trained_on: kind of data of the parser, "simulated" or "synthetic"; empty for real data.
        judged_by: the network that judged each modality, by modality, where no trained parser did; else empty.

    Example:
        >>> timeline = Timeline.load("out/clip.json")  # doctest: +SKIP
        >>> timeline.segments["audio"].shape  # doctest: +SKIP
        (10, 25)
    """

    video: str
    duration: float
    segment_seconds: float
    classes: tuple[str, ...]
    segments: dict[str, Float32Array | None]
    events: list[Event] = field(default_factory=list)
    attention: dict[str, Float32Array | None] | None = None
    media_start: float = 0.0
    warnings: tuple[MediaWarning, ...] = ()
    trained_on: MadeUp = ""
    judged_by: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", without_controls(self.video))

    def __repr__(self) -> str:
        head = f"Timeline {self.video}: {self.duration:.1f} s, {len(self.classes)} classes, {len(self.events)} events"
        width = max((len(e.class_name) for e in self.events[:_SHOWN]), default=0)
        lines = [
            f"{e.onset:8.1f} - {e.offset:6.1f} s  {e.modality:<6}  {e.class_name:<{width}}  {e.score:.2f}"
            for e in self.events[:_SHOWN]
        ]
        more = [f"     ... and {len(self.events) - _SHOWN} more"] if len(self.events) > _SHOWN else []
        judges = told_judges(self.judged_by, self.unjudged())
        more += [f"     {judges}"] if judges else []
        return "\n".join([head, *lines, *more, *(f"     warning: {warning}" for warning in self._all_warnings())])

    def _repr_html_(self) -> str:
        """Return the picture that a notebook shows."""
        return lanes_html(self)

    def to_dataframe(self) -> DataFrame:
        """Return the events as a table of pandas, as :func:`avparse.data.notebook.frame.events_frame` makes it.

        Raises:
            UserError: pandas is not installed.
        """
        return events_frame(self)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the events with Matplotlib, as :func:`avparse.data.notebook.plot.draw_lanes` does, and return the axes.

        Raises:
            UserError: Matplotlib is not installed.
        """
        return draw_lanes(self, axes)

    def unjudged(self) -> dict[str, tuple[str, ...]]:
        """Return the classes that the parser could not judge, by modality; none in a modality that the video lacks."""
        return {
            m: () if x is None or not len(x) else tuple(np.asarray(self.classes)[np.isnan(x).all(axis=0)].tolist())
            for m, x in self.segments.items()
        }

    def _all_warnings(self) -> list[str]:
        """Return the warnings of the file and of the parser."""
        return [*map(str, self.warnings), *filter(None, [warning(self.trained_on)])]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form; probabilities are rounded to four decimals, or None where unknown.

        Seconds are rounded to three decimals; the duration, of which formats of several files make sums, to six.
        """
        return {
            "video": self.video,
            "duration": round(self.duration, 6),
            "segment_seconds": self.segment_seconds,
            "classes": list(self.classes),
            "segments": _rounded(self.segments),
            "events": [
                {**e.as_dict(), "onset": round(e.onset, 3), "offset": round(e.offset, 3), "score": round(e.score, 4)}
                for e in self.events
            ],
            **({} if self.attention is None else {"attention": _rounded(self.attention)}),
            "media_start": round(self.media_start, 3),
            "warnings": [found.as_dict() for found in self.warnings],
            **({"trained_on": self.trained_on} if self.trained_on else {}),
            **({"judged_by": self.judged_by} if self.judged_by else {}),
        }

    def save(self, path: str | Path) -> None:
        """Write the timeline as JSON, atomically."""
        write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: str | Path) -> Timeline:
        """Read a timeline written by :meth:`save`.

        Raises:
            UserError: not JSON, or a field is missing or of the wrong shape.
        """
        try:
            raw = read_json(path, RECORDS, "write it again with 'avparse parse'")
            classes = tuple(raw["classes"])
            segments = _read_sides(raw["segments"], len(classes))
            attention = _read_sides(raw["attention"], len(classes)) if "attention" in raw else None
            events = [
                Event(e["class"], e["modality"], float(e["onset"]), float(e["offset"]), float(e["score"]))
                for e in raw["events"]
            ]
            duration, unit = float(raw["duration"]), float(raw["segment_seconds"])
            start = float(raw.get("media_start", 0.0))
            warnings = tuple(MediaWarning.read(found) for found in raw.get("warnings", ()))
            kind = made_up(str(raw.get("trained_on", "")))
            judged_by = {str(modality): str(network) for modality, network in raw.get("judged_by", {}).items()}
            return cls(
                raw["video"], duration, unit, classes, segments, events, attention, start, warnings, kind, judged_by
            )
        except UserError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: bad timeline field {error}; write it again with 'avparse parse'") from None


def _rounded(sides: dict[str, Float32Array | None]) -> dict[str, list[list[float | None]] | None]:
    return {m: None if values is None else _numbers(values) for m, values in sides.items()}


def _numbers(values: Float32Array) -> list[list[float | None]]:
    """Return probabilities ``[T, C]`` for JSON, which has no NaN: None in its place."""
    rounded = np.round(values.astype(float), 4).astype(object)
    rounded[np.isnan(values)] = None
    numbers: list[list[float | None]] = rounded.tolist()
    return numbers


def _read_sides(sides: dict[str, Any], classes: int) -> dict[str, Float32Array | None]:
    return {m: _read_segments(sides[m], classes) for m in MODALITIES}


def _read_segments(values: list[list[float | None]] | None, classes: int) -> Float32Array | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float32).reshape(len(values), classes)
    return array
