"""A constant rate of pictures made of frames at any times, as FFmpeg makes it with ``-r RATE``.

FFmpeg numbers the pictures that it writes. A frame takes the next number unless it ends more than 1.1 numbers too
early, when it is dropped; one that ends more than 1.1 numbers too late takes several, and where it also begins so late,
the frame before is repeated first. The rule is that of its ``cfr`` mode; compared with the program in the tests.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from avparse.foundation.arrays import IntArray
from avparse.media.decoding.views import segment_count

_SLACK = 1.1  # numbers by which a frame may be early or late
_BEFORE = 0.6  # less than this stays empty before a late frame
_OFF_MIDDLE = 2.0**-17  # keeps times off exact halves, where rounding is a matter of the last bit


class ConstantRate:
    """Counts the pictures of a constant rate while frames come in order.

    Args:
        rate: pictures a second.
        usual_s: seconds that a frame lasts at the nominal rate of the stream.

    Attributes:
        rate: pictures a second.
        given: number of pictures so far.
    """

    def __init__(self, rate: float, usual_s: float) -> None:
        self.rate, self.given = rate, 0
        self._usual = min(1.0, usual_s * rate)
        self._shown = 0

    def repeats(self, at_s: float, length_s: float) -> int:
        """Take a frame, and return the number of pictures once the frame before it is repeated."""
        late = at_s * self.rate
        late += np.sign(late) * _OFF_MIDDLE - self.given
        ends = late + (round(length_s * self.rate) or self._usual)
        late = 0.0 if late < 0 < ends else late
        many = ends > _SLACK
        self._shown = round(ends) if many else int(ends >= -_SLACK)
        repeated = min(self._shown, round(late - _BEFORE)) if many and late > _SLACK else 0
        self.given += repeated
        self._shown -= repeated
        return self.given

    def shows(self) -> int:
        """Return the number of pictures once the frame that was taken last is shown."""
        self.given += self._shown
        self._shown = 0
        return self.given


def spread_places(
    rate: ConstantRate, times_s: npt.NDArray[np.float64], lengths_s: npt.NDArray[np.float64], segment_seconds: float
) -> IntArray:
    """Return which of the n pictures of a constant rate a video is seen by: those at ``round(linspace(0, n - 1))``.

    Args:
        rate: the constant rate, which has taken no frame yet.
        times_s: times ``[frames]`` of the frames of a video in the order of showing.
        lengths_s: seconds ``[frames]`` that each lasts.
        segment_seconds: length of a segment.

    Returns:
        Places ``[pictures]`` in rising order, as many as the constant rate has in the segments of the video.
    """
    for at_s, length_s in zip(times_s.tolist(), lengths_s.tolist(), strict=True):
        rate.repeats(at_s, length_s)
        rate.shows()
    if not len(times_s):
        return np.zeros(0, dtype=np.int64)
    segments = segment_count(float(times_s[-1] + lengths_s[-1]), segment_seconds)
    count = round(rate.rate * segment_seconds) * segments
    return np.rint(np.linspace(0, max(0, rate.given - 1), count)).astype(np.int64)
