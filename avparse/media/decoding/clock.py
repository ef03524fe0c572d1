"""The one rule for time: which second of a file each packet and each frame belongs to.

``docs/clocks.md`` tells the rule and the kinds of files that need it. Times are seconds on the file's own clock, after
its restarts and leaps have been taken out; time 0 of the results is the earliest start of the streams that are read.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import av
from av.container import InputContainer

from avparse.media.decoding.container import header_seconds
from avparse.media.decoding.guard import Guard

BACK_S = 0.5  # a step back by less is jitter, or an overlap
AHEAD_S = 1.0  # a step ahead by less is a pause
BEYOND_S = 10.0  # a leap that ends further past the stated end is damage

_SHARED_GAP_S = 10.0  # a longer pause in a format whose clock may restart is a leap of the clock, as it is for FFmpeg
_RESTARTING = 0x0200  # AVFMT_TS_DISCONT: transport and program streams, Ogg
_PEEKED_PACKETS, _PEEKED_OWN = 64, 8
_PEEKED_FRAMES = 8
_REORDERED = 18  # frames: the most that a codec shows between a frame and one that was stored before it, and two more
_WORTH_TELLING_S = 0.1

Frames = Iterator[tuple[float, Any]]


@dataclass
class _Line:
    """The clock of one stream: what is added to its times, and where its next packet is expected."""

    offset_s: float = 0.0
    piece: int = 0
    expected_s: float | None = None
    back_s: float = BACK_S  # a step back by less is none


class Clock:
    """Reads the packets of some streams and gives each its place on one unbroken clock.

    Every reader of a file runs its own, over the same packets, so that sound and pictures that are read one after the
    other agree.

    Args:
        container: the open file.
        streams: the streams that count.
        guard: measures the reading and takes warnings.
    """

    def __init__(self, container: InputContainer, streams: list[Any], guard: Guard) -> None:
        self._guard = guard
        self._demuxed = container.demux(*streams)
        self._waiting: deque[Any] = deque()
        self._lines = {stream.index: _Line() for stream in streams}
        self._offsets = [0.0]  # of each piece between two breaks of the clock
        self._stored_order_only = container.format.name == "avi"
        gap_s = guard.limits.max_gap_seconds
        self._gap_s = min(gap_s, _SHARED_GAP_S) if container.format.flags & _RESTARTING else gap_s
        stated_s = header_seconds(container)
        start_s = 0.0 if container.start_time is None else container.start_time / av.time_base
        self._last_s = None if stated_s is None else start_s + stated_s + BEYOND_S

    def packets(self) -> Iterator[Any]:
        """Yield the packets of all streams, their times mended."""
        while (packet := self._waiting.popleft() if self._waiting else self._pull()) is not None:
            self._place(packet)
            yield packet

    def _pull(self) -> Any:
        """Return the next packet of the file, None at its end or where it breaks off."""
        try:
            while True:
                with self._guard.working():
                    packet = next(self._demuxed, None)
                if packet is None or packet.size or packet.dts is not None or packet.pts is not None:
                    return packet
        except (av.FFmpegError, IndexError) as error:  # IndexError: PyAV at the end, had a stream turned up late
            cause = getattr(error, "strerror", "a stream that the header does not name")
            self._guard.warn("break", f"the file breaks off ({cause}); what comes before is kept")
            return None

    def _place(self, packet: Any) -> None:
        if self._stored_order_only and packet.dts is not None:
            packet.pts = packet.dts  # no times of showing are stored, and those that FFmpeg guesses are wrong
        raw_s = _stamp_s(packet)
        if raw_s is None:
            return
        line = self._lines[packet.stream_index]
        length_s = packet_seconds(packet)
        if packet.dts is None:  # times of showing stand in, which step back where frames are stored out of order
            line.back_s = max(line.back_s, _REORDERED * length_s)
        if line.expected_s is None:
            line.expected_s = raw_s
            if self._first_is_odd(packet, raw_s):
                return
        ahead_s = raw_s + line.offset_s - line.expected_s
        if not -line.back_s <= ahead_s <= AHEAD_S:
            if self._returns(packet, line, ahead_s):
                line.expected_s += length_s  # one odd stamp; see settled()
            else:
                self._break(line, raw_s, ahead_s)
                line.expected_s = raw_s + line.offset_s + length_s
        else:
            line.expected_s = raw_s + line.offset_s + length_s
        if line.offset_s:
            shift = round(line.offset_s / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift

    def _break(self, line: _Line, raw_s: float, ahead_s: float) -> None:
        """Take a restart or a leap out of the clock of a stream, the same for streams that break together."""
        assert line.expected_s is not None
        for piece in range(line.piece + 1, len(self._offsets)):
            if -BACK_S <= raw_s + self._offsets[piece] - line.expected_s <= _SHARED_GAP_S:
                line.piece, line.offset_s = piece, self._offsets[piece]
                return
        at = f"at {line.expected_s:.1f} s"
        if ahead_s < 0:
            line.offset_s = max([line.expected_s - raw_s, *self._shifts_of_others(line)])
            self._guard.warn("restart", f"its clock starts again {at}; what follows is put after what was there")
        elif ahead_s > self._gap_s or (self._last_s is not None and raw_s + line.offset_s > self._last_s):
            line.offset_s = line.expected_s - raw_s
            self._guard.warn("jump", f"its clock leaps ahead by {ahead_s:.0f} s {at}; the gap is left out")
        else:
            return
        self._offsets.append(line.offset_s)
        line.piece = len(self._offsets) - 1

    def _shifts_of_others(self, line: _Line) -> Iterator[float]:
        """Yield what must be added to the times of each other stream, so that it too goes on after its restart."""
        for index, other in self._lines.items():
            expected_s = other.expected_s
            if other is line or expected_s is None:
                continue
            for packet in self._coming():
                later_s = _stamp_s(packet) if packet.stream_index == index else None
                if later_s is None:
                    continue
                if later_s + other.offset_s < expected_s - other.back_s:
                    yield expected_s - later_s
                    break
                expected_s = later_s + other.offset_s + packet_seconds(packet)

    def _returns(self, packet: Any, line: _Line, ahead_s: float) -> bool:
        """Tell whether later packets of the stream go on where this one was expected, so that its stamp is odd."""
        assert line.expected_s is not None
        least_s = line.expected_s - BACK_S - line.offset_s
        most_s = least_s + ahead_s if ahead_s > 0 else float("inf")
        return any(least_s <= later_s < most_s for later_s in self._peek(packet))

    def _first_is_odd(self, packet: Any, raw_s: float) -> bool:
        """Tell whether all the next packets of the stream lie far before its first one; expect them where they are."""
        later = self._peek(packet)
        if len(later) < 2 or max(later) >= raw_s - BACK_S:
            return False
        self._lines[packet.stream_index].expected_s = min(later)
        return True

    def _peek(self, packet: Any) -> list[float]:
        """Return the times of the next few packets of the same stream."""
        own = (other for other in self._coming() if other.stream_index == packet.stream_index)
        later = (later_s for other in own if (later_s := _stamp_s(other)) is not None)
        return list(islice(later, _PEEKED_OWN))

    def _coming(self) -> Iterator[Any]:
        """Yield the next packets of the file, which stay to be read."""
        for place in range(_PEEKED_PACKETS):
            if place == len(self._waiting):
                packet = self._pull()
                if packet is None:
                    return
                self._waiting.append(packet)
            yield self._waiting[place]


def _stamp_s(packet: Any) -> float | None:
    stamp = packet.pts if packet.dts is None else packet.dts
    return None if stamp is None else float(stamp * packet.time_base)


def packet_seconds(packet: Any) -> float:
    """Return how long a packet lasts, 0 where that is not stored."""
    return float((packet.duration or 0) * packet.time_base)


def ranked(frames: Frames) -> Frames:
    """Give frames that come in the order of showing, but with times of storing, those times in rising order.

    The k-th frame that is shown gets the k-th smallest of the times, which is right where every frame lasts equally
    long; a frame that is lost takes its own time with it.
    """
    times: list[float] = []
    waiting: deque[Any] = deque()
    for time_s, frame in frames:
        heapq.heappush(times, time_s)
        waiting.append(frame)
        if len(waiting) > _REORDERED:
            yield heapq.heappop(times), waiting.popleft()
    while waiting:
        yield heapq.heappop(times), waiting.popleft()


def unbroken(frames: Frames, length_s: Callable[[Any], float], gap_s: float, guard: Guard) -> Frames:
    """Close pauses between frames, in the order of showing, that are longer than ``gap_s`` seconds."""
    closed_s, expected_s = 0.0, None
    for time_s, frame in frames:
        at_s = time_s - closed_s
        if expected_s is not None and at_s - expected_s > gap_s:
            guard.warn("jump", f"its times leap ahead by {at_s - expected_s:.0f} s; the gap is left out")
            closed_s += at_s - expected_s
            at_s = expected_s
        yield at_s, frame
        expected_s = at_s + length_s(frame) if expected_s is None else max(expected_s, at_s + length_s(frame))


def settled(frames: Frames, length_s: Callable[[Any], float], jitter_s: float, guard: Guard) -> Frames:
    """Replace the times of single frames that contradict their neighbours.

    Frames come in the order in which they are shown. One whose time is later than that of a frame after it is put
    between its neighbours, and so is one that lies before the frame before it while the next does not. Times that step
    back and stay there are left as they are.

    Args:
        frames: time in seconds, and frame.
        length_s: gives the seconds that a frame lasts.
        jitter_s: differences that do not matter.
        guard: receiver of warnings.
    """
    queue: deque[tuple[float, Any]] = deque()

    def fill(count: int) -> None:
        while len(queue) < count and (coming := next(frames, None)) is not None:
            queue.append(coming)

    last_s: float | None = None
    while True:
        fill(2)
        if not queue:
            return
        time_s, frame = queue[0]
        if last_s is not None and time_s > last_s + AHEAD_S:
            fill(1 + _PEEKED_FRAMES)
        mended_s = _between(queue, last_s, length_s(frame), jitter_s)
        if abs(mended_s - time_s) > _WORTH_TELLING_S:
            guard.warn("stamp", f"a time of {time_s:.1f} s among others of {mended_s:.1f} s is damage, and not used")
        last_s = mended_s if last_s is None else max(last_s, mended_s)
        queue.popleft()
        yield mended_s, frame


def _between(queue: deque[tuple[float, Any]], last_s: float | None, length_s: float, jitter_s: float) -> float:
    """Return the time of the first frame of ``queue``, put between its neighbours where it contradicts them."""
    time_s = queue[0][0]
    for place in range(1, len(queue)):
        later_s = queue[place][0]
        if later_s < time_s - jitter_s and (last_s is None or later_s > last_s):
            return later_s - place * length_s if last_s is None else last_s + (later_s - last_s) / (place + 1)
    if last_s is not None and time_s < last_s - jitter_s and len(queue) > 1 and queue[1][0] > last_s:
        return last_s + min(length_s, (queue[1][0] - last_s) / 2)
    return time_s
