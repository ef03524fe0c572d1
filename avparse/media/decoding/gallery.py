"""Which frames of a video a view takes, and the small pictures made of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from avparse.foundation.arrays import IntArray, UInt8Array
from avparse.media.decoding.constant_rate import ConstantRate
from avparse.media.decoding.orientation import upright
from avparse.media.decoding.views import PictureView

_SAME_INSTANT_S = 1e-6


class Gallery(ABC):
    """The pictures of a track for one view: frames are shown to it in order, pictures are taken from it in order."""

    def __init__(self, view: PictureView) -> None:
        self._view = view
        self._reformatter = VideoReformatter()
        self._frame: Any = None  # the last one that was shown, and its picture once needed
        self._picture: UInt8Array | None = None
        self._pictures: list[UInt8Array] = []

    def lacks(self, count: int) -> bool:
        """Return whether later frames may still decide what the next ``count`` pictures are."""
        return False

    @abstractmethod
    def show(self, at_s: float, length_s: float, frame: Any) -> None:
        """Show a frame.

        Args:
            at_s: time of the frame on the clock of the file.
            length_s: seconds that the frame lasts.
            frame: the decoded frame.
        """

    def take(self, count: int) -> UInt8Array:
        """Return the next pictures ``[count, H, W, 3]``; the last frame is shown ever after."""
        self._repeat(count - len(self._pictures))
        taken, self._pictures = self._pictures[:count], self._pictures[count:]
        return np.stack(taken)

    def _put(self, frame: Any) -> None:
        self._frame, self._picture = frame, None

    def _repeat(self, count: int) -> None:
        """Give the next ``count`` pictures the frame that was shown last."""
        if count > 0:
            if self._picture is None:
                self._picture = upright(self._reformatter, self._frame, self._view)
            self._pictures.extend([self._picture] * count)


class CentreGallery(Gallery):
    """Pictures at the instants ``offset_s + (k + 1/2) * step_s``: what a player would show there.

    Args:
        view: size and scaling of the pictures.
        step_s: seconds from one picture to the next.
    """

    def __init__(self, view: PictureView, step_s: float) -> None:
        super().__init__(view)
        self._step_s = step_s
        self._given = 0

    def show(self, at_s: float, length_s: float, frame: Any) -> None:
        """Put a frame on show from ``at_s`` on; the instants before that keep the frame that was there."""
        if self._frame is not None:
            before = math.ceil((at_s - self._view.offset_s - _SAME_INSTANT_S) / self._step_s - 0.5)
            self._repeat(before - self._given - len(self._pictures))
        self._put(frame)

    def take(self, count: int) -> UInt8Array:
        """Return the pictures ``[count, H, W, 3]`` of the next instants."""
        taken = super().take(count)
        self._given += count
        return taken


class SpreadGallery(Gallery):
    """Pictures at chosen places among those of a constant rate.

    Args:
        view: size and scaling of the pictures.
        rate: the constant rate, which tells which places each frame takes.
        places: places ``[pictures]`` in rising order, one for each picture of the view.
    """

    def __init__(self, view: PictureView, rate: ConstantRate, places: IntArray) -> None:
        super().__init__(view)
        later = np.arange(len(places)) + round(view.offset_s * rate.rate)
        self._rate, self._places = rate, places[np.minimum(later, len(places) - 1)]
        self._reached = 0  # pictures whose place is reached

    def lacks(self, count: int) -> bool:
        """Return whether later frames may still decide what the next ``count`` pictures are."""
        return len(self._pictures) < count and self._reached < len(self._places)

    def show(self, at_s: float, length_s: float, frame: Any) -> None:
        """Give the places that the frame takes its picture, and those that it leaves empty that of the one before."""
        repeated = self._rate.repeats(at_s, length_s)
        if self._frame is None:
            self._put(frame)
        self._reach(repeated)
        self._put(frame)
        self._reach(self._rate.shows())

    def _reach(self, last: int) -> None:
        """Give the pictures at the places before ``last`` that were not reached yet the frame that was shown last."""
        reached = int(np.searchsorted(self._places, last))
        self._repeat(reached - self._reached)
        self._reached = reached
