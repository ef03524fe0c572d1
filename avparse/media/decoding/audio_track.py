"""The sound of a file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from av.audio.resampler import AudioResampler

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.track import Track

JUMP_S = 0.04  # sound whose times jitter less is unbroken


class AudioTrack(Track):
    """Mono samples (the mean of the channels) at one or several rates, at their places on the clock.

    Args:
        guard: the file, its limits and its warnings.
        sample_rates: samples a second, each for a reader of its own; the sound is decoded once for all.
        threads: number of decoder threads.
    """

    kind = "audio"
    jitter_s = JUMP_S

    def __init__(self, guard: Guard, sample_rates: Iterable[int], threads: int = 1) -> None:
        self._at_rate = {rate: _Resampled(rate) for rate in sample_rates}
        self._format: tuple[Any, ...] = ()
        self._expected_s = -math.inf  # where the next frame begins if the sound is unbroken
        super().__init__(guard, threads)

    def read_until(self, time_s: float) -> None:
        """Decode until ``time_s`` is passed or the track has ended."""
        while not self.ended and self.end_s < time_s:
            if self._next is None:
                for resampled in self._at_rate.values():
                    resampled.drain()
                self.end_s = max(resampled.end / rate for rate, resampled in self._at_rate.items())
                self.ended = True
            else:
                self._add(*self._next)
                self.end_s = max(resampled.end / rate for rate, resampled in self._at_rate.items())
                self.advance()

    def take(self, sample_rate: int, first: int, count: int) -> Float32Array:
        """Return samples ``[count]`` from sample ``first`` on, NaN where there is no sound."""
        return self._at_rate[sample_rate].take(first, count)

    def forget(self, time_s: float) -> None:
        """Let go of the sound before ``time_s``."""
        for rate, resampled in self._at_rate.items():
            resampled.forget(round(time_s * rate))

    def _length_s(self, frame: Any) -> float:
        return float(frame.samples / frame.sample_rate)

    def _add(self, time_s: float, frame: Any) -> None:
        layout = (frame.format.name, frame.layout.name, frame.sample_rate)
        if layout != self._format or abs(time_s - self._expected_s) > JUMP_S:
            self._format, self._expected_s = layout, time_s
            steps_back = [resampled.restart(time_s - self.origin_s) for resampled in self._at_rate.values()]
            if any(steps_back):
                self.guard.warn("overlap", "its times step back; the overlap is left out")
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
        return self._at < self.end - JUMP_S * self._rate

    def add(self, frame: Any) -> None:
        assert self._resampler is not None
        self._keep(self._resampler.resample(frame))

    def drain(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))
            self._resampler = None

    def take(self, first: int, count: int) -> Float32Array:
        wanted = np.full(count, np.nan, dtype=np.float32)
        for at, piece in self._pieces:
            low, high = max(at, first), min(at + len(piece), first + count)
            if low < high:
                wanted[low - first : high - first] = piece[low - at : high - at]
        return wanted

    def forget(self, first: int) -> None:
        self._pieces = [(at, piece) for at, piece in self._pieces if at + len(piece) > first]

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            channels = frame.to_ndarray().reshape(frame.samples, -1).T
            mono = np.clip(channels.mean(axis=0, dtype=np.float32), -1.0, 1.0)
            fresh = mono[max(0, self.end - self._at) :]
            self._at += len(mono)
            if len(fresh):
                self._pieces.append((self._at - len(fresh), fresh))
                self.end = self._at
