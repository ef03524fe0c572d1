"""The sound and the pictures of a file, each read forward once, with bounded memory.

Each track opens the file for itself, so neither has to wait for, or remember, what the other has not reached yet:
however the two are interleaved, and however long a picture stands still, memory does not grow with the duration.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.video.reformatter import VideoReformatter

from avparse.foundation.arrays import Float32Array, UInt8Array
from avparse.foundation.errors import UserError
from avparse.media.decoding.container import Limits, Warnings, find_stream, header_seconds, open_media
from avparse.media.decoding.orientation import display_matrix, oriented
from avparse.media.decoding.views import PictureView

_JUMP_S = 0.04  # audio whose timestamps jitter less is one unbroken sound
_BEYOND_S = 10.0  # a timestamp further past the declared end is damage
_SAME_INSTANT_S = 1e-6


class Track(ABC):
    """One stream, decoded in order.

    Damaged packets are skipped and what was decoded before a break is kept; each kind of damage is reported once to
    ``warnings``. Times are seconds on the file's own clock minus ``origin_s``, which is to be set before reading.

    Attributes:
        stream: the stream that is read, None where the file has none.
        ended: nothing is left to read.
        end_s: end of what was read so far.
    """

    kind: str

    def __init__(self, path: str | Path, limits: Limits, warnings: Warnings, threads: int = 1) -> None:
        self.container = open_media(path, limits)
        self.stream = find_stream(self.container, self.kind)
        self.origin_s = 0.0
        self.end_s = 0.0
        self._limits, self._warnings = limits, warnings
        self._coming: Iterator[tuple[float, Any]] = iter(())
        if self.stream is not None:
            context = self.stream.codec_context
            context.thread_count = threads
            context.options = {"max_pixels": str(limits.max_pixels)}
            self._coming = self._timed()
        try:
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

    def _decoded(self) -> Iterator[Any]:
        packets = self.container.demux(self.stream)
        packet: Any = None
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, IndexError) as error:  # IndexError: PyAV at the end, had a stream turned up late
                reason = getattr(error, "strerror", "a stream that the header does not name")
                self._warnings.add("read", f"the file breaks off ({reason}); what comes before is kept")
                packet = None
            try:
                yield from self.stream.decode(packet)
            except av.EOFError:
                return
            except (av.FFmpegError, ValueError):
                self._warnings.add(f"damaged {self.kind}", f"damaged {self.kind} data left out")
            if packet is None:
                return

    def _timed(self) -> Iterator[tuple[float, Any]]:
        """Yield frames with their time on the file's own clock, those with impossible times left out."""
        declared_s = header_seconds(self.container)
        start_s: float | None = None
        front_s = length_s = 0.0
        for frame in self._decoded():
            stamp = frame.pts if frame.pts is not None else frame.dts
            time_s = front_s + length_s if stamp is None else float(stamp * (frame.time_base or self.stream.time_base))
            if start_s is None:
                start_s = front_s = time_s
            if declared_s is not None and time_s > max(start_s + declared_s, front_s) + _BEYOND_S:
                self._warnings.add("beyond", f"{self.kind} stamped far beyond the end of the file left out")
                continue
            if time_s - start_s > self._limits.max_seconds:
                limit = self._limits.max_seconds
                raise UserError(f"{self._warnings.path}: longer than {limit:.0f} seconds; cut it or raise the limit")
            front_s, length_s = max(front_s, time_s), self._length_s(frame)
            yield time_s, frame

    @abstractmethod
    def _length_s(self, frame: Any) -> float:
        """Return how long a frame lasts."""


class AudioTrack(Track):
    """Mono samples (the mean of the channels) at one or several rates, at their places on the clock.

    Args:
        path: the media file.
        sample_rates: samples a second, each for a reader of its own; the sound is decoded once for all.
        limits: limits on the resources that the file may need.
        warnings: list that reports of damage are added to.
        threads: number of threads of the decoder.
    """

    kind = "audio"

    def __init__(
        self, path: str | Path, sample_rates: Iterable[int], limits: Limits, warnings: Warnings, threads: int = 1
    ) -> None:
        self._at_rate = {rate: _Resampled(rate) for rate in sample_rates}
        self._format: tuple[Any, ...] = ()
        self._expected_s = -math.inf  # where the next frame begins if the sound is unbroken
        super().__init__(path, limits, warnings, threads)

    def read_until(self, time_s: float) -> None:
        """Decode until ``time_s`` is passed or the track has ended."""
        while not self.ended and self.end_s < time_s:
            if self._next is None:
                for resampled in self._at_rate.values():
                    resampled.drain()
                self.ended = True
            else:
                self._add(*self._next)
                self._next = next(self._coming, None)
            self.end_s = max(resampled.end / rate for rate, resampled in self._at_rate.items())

    def take(self, sample_rate: int, first: int, count: int) -> Float32Array:
        """Return samples ``[count]`` from sample ``first`` on, NaN where there is no sound, and forget earlier ones."""
        return self._at_rate[sample_rate].take(first, count)

    def _length_s(self, frame: Any) -> float:
        return float(frame.samples / frame.sample_rate)

    def _add(self, time_s: float, frame: Any) -> None:
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if layout != self._format or abs(time_s - self._expected_s) > _JUMP_S:
            self._format, self._expected_s = layout, time_s
            steps_back = [resampled.restart(time_s - self.origin_s) for resampled in self._at_rate.values()]
            if any(steps_back):
                self._warnings.add("audio back", "audio times step back; the overlap is left out")
        self._expected_s += self._length_s(frame)
        for resampled in self._at_rate.values():
            resampled.add(frame)


class _Resampled:
    """The sound of a track at one rate.

    Attributes:
        end: samples, where what was read so far ends.
    """

    def __init__(self, rate: int) -> None:
        self.end = 0
        self._rate = rate
        self._pieces: list[tuple[int, Float32Array]] = []  # (first sample, samples), in order, disjoint
        self._resampler: AudioResampler | None = None
        self._at = 0  # samples: where the resampler continues

    def restart(self, time_s: float) -> bool:
        """Go on at another time, or with another format; return whether that lies before what is there already."""
        self.drain()
        # Interleaved samples: PyAV does not survive looking at the planes of eight and more channels.
        self._resampler = AudioResampler("flt", None, self._rate)
        self._at = round(time_s * self._rate)
        return self._at < self.end - _JUMP_S * self._rate

    def add(self, frame: Any) -> None:
        assert self._resampler is not None
        self._keep(self._resampler.resample(frame))

    def drain(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = None

    def take(self, first: int, count: int) -> Float32Array:
        self._pieces = [(at, piece) for at, piece in self._pieces if at + len(piece) > first]
        wanted = np.full(count, np.nan, dtype=np.float32)
        for at, piece in self._pieces:
            low, high = max(at, first), min(at + len(piece), first + count)
            if low < high:
                wanted[low - first : high - first] = piece[low - at : high - at]
        return wanted

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            channels = frame.to_ndarray().reshape(frame.samples, -1).T
            mono = np.clip(channels.mean(axis=0, dtype=np.float32), -1.0, 1.0)
            fresh = mono[max(0, self.end - self._at) :]
            self._at += len(mono)
            if len(fresh):
                self._pieces.append((self._at - len(fresh), fresh))
                self.end = self._at


class VideoTrack(Track):
    """Small upright RGB pictures at the instants ``(k + 1/2) * step_s``: what a player would show there.

    The first picture is also shown before its time, the last one ever after. ``matrix`` is the first frame's
    :func:`display_matrix`.

    Args:
        path: the media file.
        steps: seconds from one picture to the next, for each view; the file is decoded once for all.
        limits: limits on the resources that the file may need.
        warnings: list that reports of damage are added to.
        threads: number of threads of the decoder.
    """

    kind = "video"

    def __init__(
        self,
        path: str | Path,
        steps: Mapping[PictureView, float],
        limits: Limits,
        warnings: Warnings,
        threads: int = 1,
    ) -> None:
        self._galleries = {view: _Gallery(view, step_s) for view, step_s in steps.items()}
        self._finest_s = min(steps.values(), default=1.0)
        self._shown_s = -math.inf
        super().__init__(path, limits, warnings, threads)
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
                self._warnings.add("video back", "video times step back; the overlap is left out")
            self._next = next(self._coming, None)

    def take(self, view: PictureView, count: int) -> UInt8Array:
        """Return the pictures ``[count, H, W, 3]`` of the next ``count`` instants of a view."""
        return self._galleries[view].take(count)

    def _length_s(self, frame: Any) -> float:
        rate = self.stream.average_rate or self.stream.guessed_rate
        usual_s = float(1 / rate) if rate else _JUMP_S
        if not frame.duration:
            return usual_s
        declared_s = header_seconds(self.container)
        return min(
            float(frame.duration * (frame.time_base or self.stream.time_base)),
            math.inf if declared_s is None else declared_s + usual_s,
        )


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
                self._picture = oriented(self._reformatter, self._frame, self._view)
            self._pictures.extend([self._picture] * count)
