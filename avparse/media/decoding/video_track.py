"""The pictures of a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from avparse.foundation.arrays import Float64Array, UInt8Array
from avparse.media.decoding.clock import Clock, packet_seconds
from avparse.media.decoding.constant_rate import ConstantRate, spread_places
from avparse.media.decoding.container import choose_streams, header_seconds, open_media
from avparse.media.decoding.gallery import CentreGallery, Gallery, SpreadGallery
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.orientation import display_matrix
from avparse.media.decoding.track import Track
from avparse.media.decoding.views import PictureView

_UNKNOWN_LENGTH_S = 0.04  # of a frame, where neither it nor the stream tells
_SAME_INSTANT_S = 1e-6


class VideoTrack(Track):
    """Small upright RGB pictures of each view; the file is decoded once for all of them.

    The first frame is also shown before its time, the last one ever after. ``matrix`` is the first frame's
    :func:`display_matrix`.

    Args:
        guard: the file, its limits and its warnings.
        views: views of the pictures.
        segment_seconds: length of a segment.
        threads: number of decoder threads.
    """

    kind = "video"
    jitter_s = _SAME_INSTANT_S

    def __init__(
        self, guard: Guard, views: Sequence[PictureView] = (), segment_seconds: float = 1.0, threads: int = 1
    ) -> None:
        self._steps = {view: segment_seconds / view.count(segment_seconds) for view in views}
        self._segment_seconds = segment_seconds
        self._finest_s = min(self._steps.values(), default=1.0)
        self._shown_s = -math.inf
        super().__init__(guard, threads)
        self.matrix = (1, 0, 0, 1) if self._next is None else display_matrix(self._next[1])

    def read_until(self, time_s: float) -> None:
        """Decode until a frame later than ``time_s`` is found or the track has ended."""
        while not self.ended and self._shown_s <= time_s:
            self._read()

    def take(self, view: PictureView, count: int) -> UInt8Array:
        """Return the next ``count`` pictures ``[count, H, W, 3]`` of a view."""
        gallery = self._galleries[view]
        while gallery.lacks(count) and not self.ended:
            self._read()
        return gallery.take(count)

    def _read(self) -> None:
        if self._next is None:
            self.ended = True
            return
        own_s, frame = self._next
        at_s = own_s - self.origin_s
        if at_s > self._shown_s:
            length_s = self._length_s(frame)
            for gallery in self._galleries.values():
                gallery.show(at_s, length_s, frame)
            self._shown_s, self.end_s = at_s, at_s + length_s
        elif at_s < self._shown_s - self._finest_s:
            self.guard.warn("overlap", "its times step back; the overlap is left out")
        self.advance()

    @cached_property
    def _galleries(self) -> dict[PictureView, Gallery]:
        """The pictures of each view; made when ``origin_s`` is set."""
        return {view: self._gallery(view, step_s) for view, step_s in self._steps.items()}

    def _gallery(self, view: PictureView, step_s: float) -> Gallery:
        if view.picked == "centres":
            return CentreGallery(view, step_s)
        usual_s = self._usual_s()
        places = spread_places(ConstantRate(1 / step_s, usual_s), *self._frame_times, self._segment_seconds)
        return SpreadGallery(view, ConstantRate(1 / step_s, usual_s), places)

    @cached_property
    def _frame_times(self) -> tuple[Float64Array, Float64Array]:
        """Times and lengths ``[frames]`` of all frames in the order of showing, read without decoding anything."""
        with open_media(self.guard) as container:
            clock = Clock(container, [stream for stream in choose_streams(container, self.guard) if stream], self.guard)
            found = [
                (float(packet.pts * packet.time_base) - self.origin_s, packet_seconds(packet))
                for packet in clock.packets()
                if packet.stream_index == self.stream.index and packet.pts is not None and not packet.is_discard
            ]
        times_s, lengths_s = np.array(sorted(found), dtype=np.float64).reshape(-1, 2).T
        return times_s, np.where(lengths_s > 0, lengths_s, self._usual_s())

    def _usual_s(self) -> float:
        """Return how long a frame lasts at the nominal rate of the stream."""
        rate = self.stream.guessed_rate or self.stream.average_rate
        return float(1 / rate) if rate else _UNKNOWN_LENGTH_S

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
