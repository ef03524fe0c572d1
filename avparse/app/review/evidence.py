"""The seconds that argue against what is suggested, from the probabilities of a parser."""

from __future__ import annotations

import numpy as np

from avparse.data.timeline import Event, runs
from avparse.foundation.arrays import Float32Array

_NEAR = 0.8  # of the strongest argument: segments below it are left out
_MOST, _LONGEST_S = 3, 8.0  # spans of an item, and seconds of one
_NOTHING = 0.02
Spans = tuple[tuple[float, float], ...]


def against_label(kept: bool, here: Float32Array | None, there: Float32Array | None, unit: float) -> Spans:
    """Return the seconds that argue against the suggestion for a label, the strongest first.

    Against a label that is kept argue seconds in which the class is found in the other modality and not in this one;
    without the other modality, those in which it is found least. Against dropping a label argue the seconds in which
    the class is found most.

    Args:
        kept: whether the label is suggested.
        here: probabilities ``[T]`` of the class in the modality of the label; None if that is absent.
        there: probabilities ``[T]`` in the other modality; None if that is absent.
        unit: length of a segment in seconds.
    """
    if here is None:
        return ()
    if not kept:
        return _spans(here, unit)
    return _spans(1 - here if there is None else there * (1 - here), unit)


def against_event(event: Event, here: Float32Array | None, unit: float) -> Spans:
    """Return the seconds of an event in which its class is found least.

    Args:
        event: event of a timeline.
        here: probabilities ``[T]`` of its class in its modality; None if they are not known.
        unit: length of a segment in seconds.
    """
    if here is None:
        return ()
    first = round(event.onset / unit)
    last = max(first + 1, int(np.ceil(event.offset / unit - 0.01)))
    found = _spans(1 - here[first:last], unit)
    return tuple((event.onset + a, min(event.onset + b, event.offset)) for a, b in found)


def _spans(argument: Float32Array, unit: float) -> Spans:
    """Return the runs of segments with the strongest argument ``[T]``, the strongest first; NaN argues for nothing."""
    values = np.nan_to_num(argument)
    if not len(values) or values.max() < _NOTHING:
        return ()
    spans = []
    for first, last in runs(values >= _NEAR * values.max()):
        most = max(1, int(_LONGEST_S / unit))
        if last - first > most:
            peak = first + int(values[first:last].argmax())
            first = min(max(first, peak - most // 2), last - most)
            last = first + most
        spans.append((float(values[first:last].mean()), first * unit, last * unit))
    spans.sort(key=lambda span: -span[0])
    return tuple((first, last) for _, first, last in spans[:_MOST])
