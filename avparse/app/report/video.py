"""One video of the report, and the data of it that a page holds."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avparse.app.report.other import OtherEvents
from avparse.app.report.unknown_rule import lowest_in_events
from avparse.data.judged import told_judges
from avparse.data.timeline import Event, Timeline, events_of, runs
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array, FloatArray
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule, Threshold


@dataclass(frozen=True)
class ReportVideo:
    """One video of the report.

    Attributes:
        timeline: parse that is shown.
        media: path of the video file; it is embedded if small enough, otherwise linked relative to the page.
        waveform: lowest and highest sample (-1..1) in equal bins of the whole duration ``[bins, 2]``.
        truth: dense truth ``[T, C]`` of each modality, if known.
        weak_labels: video-level label, if known.
        note: remark that is shown next to the player.
        gates: gate probabilities of each modality (``DecodingRule.gates``), ``[C]``, or ``[T, C]`` from windows of a
            long video. Where unknown, a class counts as closed wherever it reaches its threshold without being in an
            event.
        only: classes that the parse was restricted to (``parse --labels``); ``None`` allows all.
        other: events to compare with; None for those of ``truth``, if that is known.
    """

    timeline: Timeline
    media: Path | None = None
    waveform: Float32Array | None = None
    truth: Mapping[str, BoolArray] | None = None
    weak_labels: Sequence[str] | None = None
    note: str = ""
    gates: Mapping[str, FloatArray] | None = None
    only: Sequence[str] | None = None
    other: OtherEvents | None = None

    def __post_init__(self) -> None:
        timeline = self.timeline
        arrays = [*timeline.segments.values(), *(timeline.attention or {}).values(), *(self.truth or {}).values()]
        shapes = {array.shape for array in arrays if array is not None}
        if len(shapes) > 1:
            raise ValueError(
                f"{timeline.video}: segments, attention and truth differ in shape [T, C]: {sorted(shapes)}"
            )

    def compared(self) -> OtherEvents | None:
        """Return the events to compare with: those given, or those of the truth."""
        if self.other is not None or self.truth is None:
            return self.other
        return OtherEvents.of_truth(self.timeline, self.truth)


def video_entry(video: ReportVideo, rule: DecodingRule | None) -> dict[str, Any]:
    """Return the data of a video for the page, in JSON types: numeric arrays as base64, booleans as runs.

    Args:
        video: timeline, media and notes of the video.
        rule: decoding rule of its events, None if it is not known.

    Raises:
        UserError: the rule is for another number of classes.
    """
    timeline, other = video.timeline, video.compared()
    thresholds = lowest_in_events(timeline) if rule is None else _per_class(rule.segment_threshold, timeline)
    present = [values for values in timeline.segments.values() if values is not None]
    return {
        "video": timeline.video,
        "duration": timeline.duration,
        "segment_seconds": timeline.segment_seconds,
        "classes": list(timeline.classes),
        "segments": len(present[0]) if present else 0,
        "thresholds": thresholds.tolist(),
        "gate": "" if rule is None else rule.gate,
        "tracks": {m: _track(video, m, thresholds, rule) for m in MODALITIES},
        "truth": None if video.truth is None else {m: _runs_by_class(t) for m, t in video.truth.items()},
        "other": None if other is None else other.entry(timeline, video.other is not None),
        "weak_labels": None if video.weak_labels is None else list(video.weak_labels),
        "only": None if video.only is None else list(video.only),
        "note": " ".join(filter(None, [video.note, told_judges(timeline.judged_by, timeline.unjudged())])),
        "warnings": [warning.message for warning in timeline.warnings],
        "lead": max(0.0, timeline.media_start),
        "waveform": None
        if video.waveform is None or not video.waveform.size
        else _base64(video.waveform.clip(-1, 1) * 127, "i1"),
    }


def _track(
    video: ReportVideo, modality: str, thresholds: Float32Array, rule: DecodingRule | None
) -> dict[str, Any] | None:
    """Return the probabilities of a modality and the segments with open gates; ``None`` if the modality is absent.

    ``differs`` is true if the timeline's events do not follow from the rule, because they were made with another one;
    where no rule is known, ``stored`` then has the events as they are.
    """
    timeline = video.timeline
    known = timeline.segments.get(modality)
    if known is None:
        return None
    probabilities = np.nan_to_num(known)
    reached = (probabilities >= thresholds) & (probabilities > 0)
    gate_thresholds = _per_class(0.5 if rule is None else getattr(rule, f"{modality}_gate_threshold"), timeline)
    gate = None if video.gates is None or rule is None else np.asarray(video.gates[modality], dtype=np.float32)
    opened = ~reached | _in_events(timeline, modality) if gate is None else gate >= gate_thresholds
    if video.only is not None:
        opened = opened & np.isin(timeline.classes, list(video.only))
    opened = np.broadcast_to(opened, probabilities.shape)
    attention = None if timeline.attention is None else timeline.attention.get(modality)
    decisions, names = reached & opened, timeline.classes
    events = events_of(decisions, probabilities, modality, names, timeline.segment_seconds, timeline.duration)
    differs = _spans(events, modality) != _spans(timeline.events, modality)
    return {
        "probabilities": _base64(probabilities, "<f4"),
        "open": _runs_by_class(opened),
        "gate": None if gate is None else _base64(gate, "<f4"),
        "gate_threshold": gate_thresholds.tolist(),
        "attention": None if attention is None else _base64(attention, "<f4"),
        "unjudged": [timeline.classes.index(name) for name in timeline.unjudged()[modality]],
        "differs": differs and rule is not None,
        "stored": _stored(timeline, modality) if differs and rule is None else None,
    }


def _per_class(threshold: Threshold, timeline: Timeline) -> Float32Array:
    values, classes = np.asarray(threshold, dtype=np.float32), len(timeline.classes)
    if values.ndim and len(values) != classes:
        raise UserError(f"{timeline.video}: {len(values)} thresholds for {classes} classes; give 1, or 1 per class")
    return np.broadcast_to(values, classes)


def _in_events(timeline: Timeline, modality: str) -> BoolArray:
    """Return ``[T, C]``: the segments that the timeline's own events of a modality cover."""
    covered = np.zeros_like(timeline.segments[modality], dtype=bool)
    for event in timeline.events:
        if event.modality == modality:
            # Seconds may be rounded to milliseconds; only the last event of a video may end inside a segment.
            first = round(event.onset / timeline.segment_seconds)
            last = math.ceil(event.offset / timeline.segment_seconds - 1e-2)
            covered[first:last, timeline.classes.index(event.class_name)] = True
    return covered


def _stored(timeline: Timeline, modality: str) -> list[tuple[int, float, float, float]]:
    """Return the class, onset, offset and score of each event of a modality, as they stand in the timeline."""
    events = sorted((e for e in timeline.events if e.modality == modality), key=lambda e: e.onset)
    return [(timeline.classes.index(e.class_name), e.onset, e.offset, e.score) for e in events]


def _spans(events: Sequence[Event], modality: str) -> set[tuple[str, float, float]]:
    return {(e.class_name, round(e.onset, 3), round(e.offset, 3)) for e in events if e.modality == modality}


def _runs_by_class(marked: BoolArray) -> list[list[tuple[int, int]]]:
    return [runs(column) for column in marked.T]


def _base64(values: Float32Array, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
