"""The log-mel front end of VGGish, in NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np

from avparse.foundation.arrays import FloatArray

SAMPLE_RATE = 16000
WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
BANDS = 64
LOW_HZ, HIGH_HZ = 125.0, 7500.0

_FFT = 512
_OFFSET = 0.01


def log_mel(samples: FloatArray) -> FloatArray:
    """Return the natural logarithm of (mel magnitude + 0.01).

    Hann windows of 25 ms every 10 ms, magnitude spectrum, 64 triangular bands equally spaced on the HTK mel scale
    between 125 and 7500 Hz (Hershey et al., "CNN architectures for large-scale audio classification", 2017).

    Args:
        samples: ``[samples]`` mono, 16 kHz, in [-1, 1].

    Returns:
        ``[frames, 64]``, only whole windows.
    """
    return log_mel_of(magnitudes(samples))


def magnitudes(samples: FloatArray) -> FloatArray:
    """Return the magnitude spectra ``[frames, 257]`` of the windows of ``samples``, 31.25 Hz a bin."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    return np.abs(np.fft.rfft(windows * hann(), n=_FFT, axis=-1)).astype(np.float32)


def log_mel_of(spectra: FloatArray) -> FloatArray:
    """Return the log-mel frames ``[frames, 64]`` of magnitude spectra ``[frames, 257]``."""
    bands: FloatArray = np.log(spectra @ mel_filters() + np.float32(_OFFSET))
    return bands


@cache
def hann() -> FloatArray:
    """Return the periodic Hann window ``[400]``."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@cache
def mel_filters() -> FloatArray:
    """Return the triangles ``[257, 64]``, linear on the mel scale, of peak 1; the constant bin is in none."""
    bins = _mel(np.arange(_FFT // 2 + 1) * (SAMPLE_RATE / _FFT))[:, None]
    edges = np.linspace(_mel(np.array(LOW_HZ)), _mel(np.array(HIGH_HZ)), BANDS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0
    return filters.astype(np.float32)


def _mel(hertz: FloatArray) -> FloatArray:
    mels: FloatArray = 1127.0 * np.log1p(hertz / 700.0)
    return mels
