"""The pictures of a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from avparse.foundation.arrays import UInt8Array
from avparse.media.decoding.container import header_seconds
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.orientation import display_matrix, upright
from avparse.media.decoding.track import Track
from avparse.media.decoding.views import PictureView

_UNKNOWN_LENGTH_S = 0.04  # of a frame, where neither it nor the stream tells
_SAME_INSTANT_S = 1e-6


class VideoTrack(Track):
    """Small upright RGB pictures at the instants ``(k + 1/2) * step_s``: what a player would show there.

    The first picture is also shown before its time, the last one ever after. ``matrix`` is the first frame's
    :func:`display_matrix`.

    Args:
        guard: the file, its limits and its warnings.
        steps: view -> seconds from one of its pictures to the next; the file is decoded once for all views.
        threads: number of decoder threads.
    """

    kind = "video"
    jitter_s = _SAME_INSTANT_S

    def __init__(self, guard: Guard, steps: Mapping[PictureView, float], threads: int = 1) -> None:
        self._galleries = {view: _Gallery(view, step_s) for view, step_s in steps.items()}
        self._finest_s = min(steps.values(), default=1.0)
        self._shown_s = -math.inf
        super().__init__(guard, threads)
        self.matrix = (1, 0, 0, 1) if self._next is None else display_matrix(self._next[1])

    def read_until(self, time_s: float) -> None:
        """Decode until a frame later than ``time_s`` is found or the track has ended."""
        while not self.ended and self._shown_s <= time_s:
            if self._next is None:
                self.ended = True
                return
            own_s, frame = self._next
            at_s = own_s - self.origin_s
            if at_s > self._shown_s:
                for gallery in self._galleries.values():
                    gallery.show(at_s, frame)
                self._shown_s, self.end_s = at_s, at_s + self._length_s(frame)
            elif at_s < self._shown_s - self._finest_s:
                self.guard.warn("overlap", "its times step back; the overlap is left out")
            self.advance()

    def take(self, view: PictureView, count: int) -> UInt8Array:
        """Return the pictures ``[count, H, W, 3]`` of the next ``count`` instants of a view."""
        return self._galleries[view].take(count)

    def _length_s(self, frame: Any) -> float:
        rate = self.stream.average_rate or self.stream.guessed_rate
        longest_s = self.guard.limits.max_gap_seconds
        usual_s = float(1 / rate) if rate and 1 / rate <= longest_s else _UNKNOWN_LENGTH_S
        stated_s = float((frame.duration or 0) * (frame.time_base or self.stream.time_base)) or usual_s
        if stated_s > longest_s:
            self.guard.warn("still", f"a picture is to stand for {stated_s:.0f} s; it is given {usual_s:.2f} s")
            return usual_s
        whole_s = header_seconds(self.container)
        return stated_s if whole_s is None else min(stated_s, whole_s + usual_s)


class _Gallery:
    """The pictures of a track for one view."""

    def __init__(self, view: PictureView, step_s: float) -> None:
        self._view, self._step_s = view, step_s
        self._reformatter = VideoReformatter()
        self._frame: Any = None  # on show, and its picture once needed
        self._picture: UInt8Array | None = None
        self._pictures: list[UInt8Array] = []
        self._given = 0

    def show(self, at_s: float, frame: Any) -> None:
        """Put a frame on show from ``at_s`` on; the instants before that keep the frame that was there."""
        if self._frame is not None:
            before = math.ceil((at_s - _SAME_INSTANT_S) / self._step_s - 0.5)
            self._settle(before - self._given - len(self._pictures))
        self._frame, self._picture = frame, None

    def take(self, count: int) -> UInt8Array:
        self._settle(count - len(self._pictures))
        taken, self._pictures = self._pictures[:count], self._pictures[count:]
        self._given += count
        return np.stack(taken)

    def _settle(self, count: int) -> None:
        """Give the next ``count`` instants the picture on show."""
        if count > 0:
            if self._picture is None:
                self._picture = upright(self._reformatter, self._frame, self._view)
            self._pictures.extend([self._picture] * count)
