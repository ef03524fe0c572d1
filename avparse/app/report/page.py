"""The report: one HTML file with the videos, their timelines and the scores, which makes no network requests."""

from __future__ import annotations

import base64
import math
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from avparse.data.judged import told_judges
from avparse.data.timeline import Event, Timeline, events_of, runs
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float32Array, FloatArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.media.decoding.rebased import rebased
from avparse.models.decoding import DecodingRule, Threshold

EMBED_LIMIT_BYTES = 30_000_000
_WORTH_MOVING_S = 0.05  # a smaller difference between player and timeline is not seen
_PAGE_LIMIT_FACTOR = 4  # browsers grow slow on pages of several hundred megabytes


@dataclass(frozen=True)
class ScoreTable:
    """A table of metrics.

    Attributes:
        columns: names of the metrics.
        rows: rows of a label and one value per column; numbers are shown with one decimal, ``None`` as a dash.
        caption: description of the metrics and of the data that they were measured on.
    """

    columns: list[str]
    rows: list[tuple[str, list[float | str | None]]]
    caption: str

    def __post_init__(self) -> None:
        for label, values in self.rows:
            if len(values) != len(self.columns):
                raise ValueError(f"score table: row '{label}' has {len(values)} values for {len(self.columns)} columns")


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
    """

    timeline: Timeline
    media: Path | None = None
    waveform: Float32Array | None = None
    truth: Mapping[str, BoolArray] | None = None
    weak_labels: Sequence[str] | None = None
    note: str = ""
    gates: Mapping[str, FloatArray] | None = None
    only: Sequence[str] | None = None

    def __post_init__(self) -> None:
        timeline = self.timeline
        arrays = [*timeline.segments.values(), *(timeline.attention or {}).values(), *(self.truth or {}).values()]
        shapes = {array.shape for array in arrays if array is not None}
        if len(shapes) > 1:
            raise ValueError(
                f"{timeline.video}: segments, attention and truth differ in shape [T, C]: {sorted(shapes)}"
            )


def write_report(
    path: str | Path,
    videos: Sequence[ReportVideo],
    *,
    title: str,
    rule: DecodingRule,
    scores: ScoreTable | None = None,
    embed_limit_bytes: int = EMBED_LIMIT_BYTES,
) -> None:
    """Write the page at ``path``, atomically.

    Args:
        path: path of the HTML file.
        videos: videos to show; several of them get a selector.
        title: heading of the page.
        rule: decoding rule of the timelines; the threshold slider decodes again by the same rule.
        scores: table that is shown under the timelines.
        embed_limit_bytes: size above which a file is linked instead of embedded; files that would make the page larger
            than four times this are linked too.

    Raises:
        UserError: a video file is missing or unreadable, the rule is for another number of classes, or the page cannot
            be written.
    """
    if not videos:
        raise ValueError("a report shows at least one video")
    room = _PAGE_LIMIT_FACTOR * embed_limit_bytes
    entries: list[dict[str, Any]] = []
    embedded: list[tuple[int, Path, float]] = []
    for number, video in enumerate(videos):
        media = _media(video.media, Path(path).parent, min(embed_limit_bytes, room))
        if video.media is not None and media is not None and media["embedded"]:
            room -= media["bytes"]
            embedded.append((number, video.media, video.timeline.media_start))
        entries.append({**_entry(video, rule), "media": media})
    chunks = _template().generate(
        title=title,
        page={"videos": entries, "gate": rule.gate},
        attention=any(video.timeline.attention is not None for video in videos),
        scores=scores,
        simulated=any(video.timeline.trained_on for video in videos),
        media=_data_uris(embedded),
    )
    with atomic_file(path) as file:
        for chunk in chunks:
            # A file name that is not valid Unicode must not prevent the page; its invalid bytes become question marks.
            file.write(chunk.encode("utf-8", "replace"))


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.from_string(files("avparse.app.report").joinpath("page.html").read_text(encoding="utf-8"))


def _media(media: Path | None, folder: Path, embed_limit_bytes: int) -> dict[str, Any] | None:
    if media is None:
        return None
    try:
        size = media.stat().st_size
    except OSError as error:
        raise UserError(f"{media}: cannot be put into the report ({error.strerror}); check the path") from None
    link = Path(os.path.relpath(media, folder)).as_posix()
    return {"embedded": size <= embed_limit_bytes, "bytes": size, "link": link, "url": quote(os.fsencode(link))}


def _data_uris(embedded: Sequence[tuple[int, Path, float]]) -> Iterator[tuple[int, Markup]]:
    """Yield the number of a video and its file as a data URI, one at a time, so that only one is in memory.

    The clock of a file that starts after 0 is moved, so that the player shows the seconds of the timeline.
    """
    for number, media, start_s in embedded:
        kind = mimetypes.guess_type(media.name)[0] or "video/mp4"
        try:
            moved = rebased(media, start_s) if start_s > _WORTH_MOVING_S else None
            content = base64.b64encode(media.read_bytes() if moved is None else moved).decode("ascii")
        except OSError as error:
            raise UserError(f"{media}: cannot be put into the report ({error.strerror}); check the file") from None
        yield number, Markup(f"data:{kind};base64,{content}")


def _entry(video: ReportVideo, rule: DecodingRule) -> dict[str, Any]:
    """Return the data of a video for the page, in JSON types: numeric arrays as base64, booleans as runs."""
    timeline = video.timeline
    thresholds = _per_class(rule.segment_threshold, timeline)
    gate_thresholds = {"audio": rule.audio_gate_threshold, "visual": rule.visual_gate_threshold}
    tracks = {m: _track(video, m, thresholds, _per_class(gate_thresholds[m], timeline)) for m in MODALITIES}
    present = [values for values in timeline.segments.values() if values is not None]
    return {
        "video": timeline.video,
        "duration": timeline.duration,
        "segment_seconds": timeline.segment_seconds,
        "classes": list(timeline.classes),
        "segments": len(present[0]) if present else 0,
        "thresholds": thresholds.tolist(),
        "tracks": tracks,
        "truth": None if video.truth is None else {m: _runs_by_class(t) for m, t in video.truth.items()},
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
    video: ReportVideo, modality: str, thresholds: Float32Array, gate_thresholds: Float32Array
) -> dict[str, Any] | None:
    """Return the probabilities of a modality and the segments with open gates; ``None`` if the modality is absent.

    ``differs`` is true if the timeline's events do not follow from the rule, because they were made with another one.
    """
    timeline = video.timeline
    known = timeline.segments.get(modality)
    if known is None:
        return None
    probabilities = np.nan_to_num(known)
    reached = (probabilities >= thresholds) & (probabilities > 0)
    gate = None if video.gates is None else np.asarray(video.gates[modality], dtype=np.float32)
    opened = ~reached | _in_events(timeline, modality) if gate is None else gate >= gate_thresholds
    if video.only is not None:
        opened = opened & np.isin(timeline.classes, list(video.only))
    opened = np.broadcast_to(opened, probabilities.shape)
    attention = None if timeline.attention is None else timeline.attention.get(modality)
    decisions, names = reached & opened, timeline.classes
    events = events_of(decisions, probabilities, modality, names, timeline.segment_seconds, timeline.duration)
    return {
        "probabilities": _base64(probabilities, "<f4"),
        "open": _runs_by_class(opened),
        "gate": None if gate is None else _base64(gate, "<f4"),
        "gate_threshold": gate_thresholds.tolist(),
        "attention": None if attention is None else _base64(attention, "<f4"),
        "unjudged": [timeline.classes.index(name) for name in timeline.unjudged()[modality]],
        "differs": _spans(events, modality) != _spans(timeline.events, modality),
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


def _spans(events: Sequence[Event], modality: str) -> set[tuple[str, float, float]]:
    return {(e.class_name, round(e.onset, 3), round(e.offset, 3)) for e in events if e.modality == modality}


def _runs_by_class(marked: BoolArray) -> list[list[tuple[int, int]]]:
    return [runs(column) for column in marked.T]


def _base64(values: Float32Array, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
