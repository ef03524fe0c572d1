"""Numbers of frames, counted from 1, of programs that give no seconds."""

from __future__ import annotations

import math

USUAL_RATE = 30.0  # frames a second where nothing tells the rate


def frames_of(onset: float, offset: float, rate: float) -> tuple[int, int]:
    """Return the first and the last frame that an event of some seconds touches, at ``rate`` frames a second."""
    first = math.floor(onset * rate + 1e-6) + 1
    return first, max(first, math.ceil(offset * rate - 1e-6))


def seconds_of(frames: tuple[int, int], rate: float, exact: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the seconds from the beginning of the first to the end of the last frame.

    Args:
        frames: numbers of the first and the last frame.
        rate: frames a second.
        exact: seconds that were noted beside the frames; they count as long as nobody has moved the frames.
    """
    if exact is not None and frames_of(*exact, rate) == frames:
        return exact
    return (frames[0] - 1) / rate, frames[1] / rate


def told_rate(unknown: int) -> tuple[str, ...]:
    """Return the note on videos whose frame rate is unknown, as a tuple of one or none."""
    told = f"the frame rate of {unknown} videos is unknown: frames are counted at {USUAL_RATE:g} a second there"
    return (told,) if unknown else ()
