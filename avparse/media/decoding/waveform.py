"""The outline of a file's sound, for drawing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.audio_track import AudioTrack
from avparse.media.decoding.guard import DEFAULT_LIMITS, Guard, Limits
from avparse.media.decoding.opened import open_tracks

_RATE = 8000  # samples a second; peaks of a drawing need no more
_BLOCK = 60 * _RATE


def waveform_peaks(
    path: str | Path, bins: int, duration_s: float | None = None, limits: Limits = DEFAULT_LIMITS
) -> Float32Array:
    """Return the lowest and highest sample in each of ``bins`` equal parts of the file, in constant memory.

    Args:
        path: the media file.
        bins: parts that span the time from 0 to ``duration_s`` on the file's clock.
        duration_s: seconds as decoded, where they are known; otherwise what the header states, which may be wrong.
        limits: limits of the size and cost of the file.

    Returns:
        float32 ``[bins, 2]`` (minimum, maximum), zero where there is no sound; ``[0, 2]`` for a file without audio.

    Raises:
        MediaError: the file cannot be opened or decoded, or costs too much.
    """
    low, high = np.full(bins, np.inf, np.float32), np.full(bins, -np.inf, np.float32)
    with open_tracks(Guard(path, limits, tells=False), [_RATE]) as opened:
        if opened.audio.start_s is None:
            return np.zeros((0, 2), dtype=np.float32)
        total = max(1.0, ((opened.stated_s or 0.0) if duration_s is None else duration_s) * _RATE)
        first = 0
        for samples in _sound(opened.audio):
            bin_of = ((np.arange(first, first + len(samples)) + 0.5) * (bins / total)).astype(np.int64)
            first += len(samples)
            samples, bin_of = samples[bin_of < bins], bin_of[bin_of < bins]
            np.minimum.at(low, bin_of, samples)
            np.maximum.at(high, bin_of, samples)
    peaks = np.stack([low, high], axis=1)
    peaks[low > high] = 0.0
    return peaks


def _sound(audio: AudioTrack) -> Iterator[Float32Array]:
    """Yield the mono sound from time 0 of the clock on, block after block, zero where there is none."""
    first = 0
    while not audio.ended or first < round(audio.end_s * _RATE):
        audio.read_until((first + _BLOCK) / _RATE)
        count = min(_BLOCK, round(audio.end_s * _RATE) - first)
        yield np.nan_to_num(audio.take(_RATE, first, count))
        first += count
        audio.forget(first / _RATE)
