"""What a feature stream reads of a file: the sound at one rate in windows, or pictures of one size and rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from avparse.foundation.arrays import Float64Array

Modality = Literal["audio", "visual"]
TAIL = 0.1  # a last part of a segment shorter than this is dropped


def segment_count(duration_s: float, segment_seconds: float) -> int:
    """Return the number of segments; a last part below a tenth of a segment counts only if it is the only one."""
    return max(1, math.ceil(duration_s / segment_seconds - TAIL))


@dataclass(frozen=True)
class SoundView:
    """The mono sound at one sample rate, in windows that begin inside each segment.

    Attributes:
        sample_rate: samples a second.
        window_s: seconds of a window, which may reach beyond its segment; None takes the whole segment.
        hop_s: seconds from the start of a window to the start of the next one in the same segment, the first of which
            begins with the segment; None takes one window a segment.
        lead_s: seconds of sound before it that every window holds in front, for networks that need to have listened.
        offset_s: seconds from the start of a segment to its first window.
    """

    modality: ClassVar[Modality] = "audio"
    sample_rate: int
    window_s: float | None = None
    hop_s: float | None = None
    lead_s: float = 0.0
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        if self.lead_s < 0:
            raise ValueError(f"the lead must not be negative, not {self.lead_s}")
        given = (self.sample_rate, self.window_s, self.hop_s)
        if not all(value is None or value > 0 for value in given):
            raise ValueError(f"sample rate, window and hop must be positive, not {given}")
        if self.offset_s < 0:
            raise ValueError(f"the offset must not be negative, not {self.offset_s}")

    def samples(self, segment_seconds: float) -> int:
        """Return the samples in a window."""
        return round((self.lead_s + (self.window_s or segment_seconds)) * self.sample_rate)

    def offsets(self, segment_seconds: float) -> Float64Array:
        """Return the seconds ``[windows]`` from the start of a segment to each of its windows, after their lead."""
        count = 1 if self.hop_s is None else max(1, math.ceil(segment_seconds / self.hop_s - 1e-6))
        return self.offset_s + np.arange(count, dtype=np.float64) * np.float64(self.hop_s or 0.0)

    def segment_bytes(self, segment_seconds: float) -> int:
        """Return the memory that a segment takes as float32."""
        return 4 * len(self.offsets(segment_seconds)) * self.samples(segment_seconds)


@dataclass(frozen=True)
class PictureView:
    """Upright RGB pictures of one size, the same number in each segment.

    Attributes:
        size: (width, height) in pixels.
        per_segment: pictures a segment; exactly one of this and ``per_second`` is given.
        per_second: pictures a second, rounded to a whole number a segment, at least one.
        shorter_side: scale the picture until its shorter side has so many pixels, then cut ``size`` from its middle;
            None squashes the whole picture to ``size``.
        scaling: ``area`` averages what a pixel covers; ``bilinear`` weighs it by a triangle, as torchvision does with
            ``antialias``.
        picked: rule that picks the frames. ``centres``: those that a player shows at the centres of equal parts of each
            segment. ``spread``: of the pictures that ``ffmpeg -r`` writes of the whole video at this rate, n in all,
            those at ``round(linspace(0, n - 1, pictures of all segments))``.
        offset_s: seconds by which all pictures are taken later.
    """

    modality: ClassVar[Modality] = "visual"
    size: tuple[int, int]
    per_segment: int | None = None
    per_second: float | None = None
    shorter_side: int | None = None
    scaling: Literal["area", "bilinear"] = "area"
    picked: Literal["centres", "spread"] = "centres"
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        if (self.per_segment is None) == (self.per_second is None):
            raise ValueError("give either pictures a segment or pictures a second")
        if min(*self.size, self.per_segment or 1, self.per_second or 1, self.shorter_side or 1) <= 0:
            raise ValueError(f"sizes and rates must be positive, not {self}")
        if self.offset_s < 0:
            raise ValueError(f"the offset must not be negative, not {self.offset_s}")
        if self.shorter_side is not None and self.shorter_side < max(self.size):
            raise ValueError(f"a picture whose shorter side has {self.shorter_side} pixels does not hold {self.size}")

    def count(self, segment_seconds: float) -> int:
        """Return the pictures of a segment."""
        return self.per_segment or max(1, round((self.per_second or 0.0) * segment_seconds))

    def segment_bytes(self, segment_seconds: float) -> int:
        """Return the memory that a segment takes as unsigned bytes."""
        return 3 * self.size[0] * self.size[1] * self.count(segment_seconds)


View = SoundView | PictureView
