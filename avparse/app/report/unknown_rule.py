"""Thresholds of a timeline whose decoding rule is not known, read from its events."""

from __future__ import annotations

import math

import numpy as np

from avparse.data.timeline import Timeline
from avparse.foundation.arrays import Float32Array

_WITHOUT_EVENTS = 0.5  # threshold of a timeline without any event


def lowest_in_events(timeline: Timeline) -> Float32Array:
    """Return the lowest probability ``[C]`` of a segment that lies in an event of the class.

    A class without events gets the lowest of the other classes. No rule of one threshold a class that gives these
    events can have a higher one.
    """
    lowest = np.full(len(timeline.classes), np.inf, dtype=np.float32)
    for event in timeline.events:
        values = timeline.segments.get(event.modality)
        if values is None:
            continue
        c = timeline.classes.index(event.class_name)
        first = round(event.onset / timeline.segment_seconds)
        last = math.ceil(event.offset / timeline.segment_seconds - 1e-2)
        inside = values[first:last, c]
        inside = inside[inside > 0]  # also leaves out NaN
        if inside.size:
            lowest[c] = min(lowest[c], inside.min())
    known = lowest[np.isfinite(lowest)]
    return np.where(np.isfinite(lowest), lowest, known.min() if known.size else _WITHOUT_EVENTS).astype(np.float32)
