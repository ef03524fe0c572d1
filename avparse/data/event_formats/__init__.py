"""Formats of events that other programs read and write, one file each."""

from __future__ import annotations

from avparse.data.event_formats import (
    audacity,
    csv,
    dcase,
    elan,
    fiftyone,
    jsonl,
    label_studio,
    llp,
    parquet,
    raven,
    rttm,
    srt,
    webvtt,
)
from avparse.data.event_formats.event_format import EventFormat

EVENT_FORMATS: dict[str, EventFormat] = {
    "csv": csv.FORMAT,
    "jsonl": jsonl.FORMAT,
    "parquet": parquet.FORMAT,
    "llp": llp.FORMAT,
    "dcase": dcase.FORMAT,
    "audacity": audacity.FORMAT,
    "elan": elan.FORMAT,
    "raven": raven.FORMAT,
    "webvtt": webvtt.FORMAT,
    "srt": srt.FORMAT,
    "rttm": rttm.FORMAT,
    "label-studio": label_studio.FORMAT,
    "fiftyone": fiftyone.FORMAT,
}

__all__ = ["EVENT_FORMATS", "EventFormat"]
