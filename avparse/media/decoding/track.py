"""One stream of a file, read forward once, with bounded memory.

Each track opens the file for itself, so neither has to wait for, or remember, what the other has not reached yet:
however the two are interleaved, and however long a picture stands still, memory does not grow with the duration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, Self

import av

from avparse.media.decoding.clock import Clock, ranked, settled, unbroken
from avparse.media.decoding.container import choose_streams, open_media
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.problems import MediaError


class Track(ABC):
    """One stream, decoded in order.

    Damaged packets are skipped and what was decoded before a break is kept; each kind of damage is reported once to
    the guard. Times are seconds on the file's own clock minus ``origin_s``, which is to be set before reading.

    Args:
        guard: the file, its limits and its warnings.
        threads: number of decoder threads.

    Attributes:
        stream: the stream that is read, None where the file has none.
        ended: nothing is left to read.
        start_s: time of the first frame on the file's own clock, None where nothing can be decoded.
        end_s: end of what was read so far.
    """

    kind: Literal["audio", "video"]
    jitter_s: float

    def __init__(self, guard: Guard, threads: int = 1) -> None:
        self.guard = guard
        self.container = open_media(guard)
        self.origin_s = 0.0
        self.end_s = 0.0
        self._coming: Iterator[tuple[float, Any]] = iter(())
        try:
            chosen = choose_streams(self.container, guard)
            self.stream = getattr(chosen, self.kind)
            if self.stream is not None:
                context = self.stream.codec_context
                context.thread_count = threads
                context.options = {"max_pixels": str(guard.limits.max_pixels)}
                clock = Clock(self.container, [stream for stream in chosen if stream is not None], guard)
                self._coming = self._within_limits(self._ordered(self._stamped(self._decoded(clock))))
            self._next = next(self._coming, None)
        except BaseException:
            self.container.close()
            raise
        self.start_s = None if self._next is None else self._next[0]
        self.ended = self._next is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.container.close()

    def advance(self) -> None:
        """Decode the next frame into ``_next``."""
        self._next = next(self._coming, None)
        self.guard.earn(self.end_s)

    def _decoded(self, clock: Clock) -> Iterator[Any]:
        idle = 0
        packets = (packet for packet in clock.packets() if packet.stream_index == self.stream.index)
        while idle <= self.guard.limits.max_idle_packets:
            packet = next(packets, None)
            frames: list[Any] = []
            try:
                with self.guard.working():
                    frames = self.stream.decode(packet)
            except av.EOFError:
                return
            except (av.FFmpegError, ValueError):
                self.guard.warn("damage", f"damaged {self.kind} data left out")
            if any(frame.is_corrupt for frame in frames):
                self.guard.warn("damage", f"damaged {self.kind} data; what the decoder could not read is guessed")
            yield from frames
            if packet is None:
                return
            idle = 0 if frames else idle + 1
        self.guard.warn("cut", f"{idle} packets of {self.kind} in a row decode to nothing; the rest is left out")

    def _stamped(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        """Yield frames with their time on the file's own clock; one without a time follows the one before."""
        end_s = 0.0
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            time_s = end_s if stamp is None else float(stamp * (frame.time_base or self.stream.time_base))
            end_s = max(end_s, time_s + self._length_s(frame))
            yield time_s, frame

    def _ordered(self, frames: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
        if (
            self.kind == "video"
            and self.container.format.name == "avi"
            and not self.stream.codec_context.codec.intra_only
        ):
            frames = ranked(frames)
        frames = settled(frames, self._length_s, self.jitter_s, self.guard)
        return unbroken(frames, self._length_s, self.guard.limits.max_gap_seconds, self.guard)

    def _within_limits(self, frames: Iterator[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
        limit, start_s = self.guard.limits.max_seconds, None
        for time_s, frame in frames:
            start_s = time_s if start_s is None else start_s
            if time_s - start_s > limit:
                raise MediaError(
                    "limit", f"{self.guard.path}: longer than {limit:.0f} seconds; cut it or raise the limit"
                )
            yield time_s, frame

    @abstractmethod
    def _length_s(self, frame: Any) -> float:
        """Return how long a frame lasts."""
