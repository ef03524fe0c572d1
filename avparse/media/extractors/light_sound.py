"""What the light extractor hears in one segment: statistics that tell tones, noises, knocks and rhythms apart."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from avparse.foundation.arrays import FloatArray
from avparse.media.extractors.mel import HOP, SAMPLE_RATE, WINDOW, hann, log_mel_of, magnitudes

_FRAMES_A_SECOND = SAMPLE_RATE / HOP
_GROUP = 8  # mel bands that share one envelope
_MODULATION_HZ = (0.5, 2.5, 5.0, 10.0, 20.0, 50.0)
_OCTAVE_BINS = (4, 8, 16, 32, 64, 128)  # lowest FFT bin of the octaves above 125, 250, ... 4000 Hz
_FLOOR = 1e-6  # power below which a sound counts as silence
_PITCH_FFT = 1024
_PITCH_LAGS = slice(16, 201)  # samples: 1000 Hz down to 80 Hz
_OCTAVE_COST = 0.08  # a pitch an octave lower must explain the sound better by this
_RHYTHM_LAGS = slice(4, 51)  # frames: 25 down to 2 events a second


def sound_features(samples: FloatArray) -> FloatArray:
    """Return the audio features ``[D]`` of one segment of 16 kHz samples (at least two windows of 25 ms)."""
    spectra = magnitudes(samples)
    bands = log_mel_of(spectra)
    parts = [_bands(bands), _modulation(bands), _rhythm(bands), _level(samples), _shape(spectra), _pitch(samples)]
    return np.concatenate(parts).astype(np.float32)


def _bands(bands: FloatArray) -> FloatArray:
    """Return mean, deviation, maximum and mean step over time of each mel band of ``[frames, 64]``."""
    steps = np.abs(np.diff(bands, axis=0)).mean(axis=0)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), bands.max(axis=0), steps])


def _modulation(bands: FloatArray) -> FloatArray:
    """Return how strongly groups of bands beat, in five ranges of modulation frequency."""
    envelopes = bands.reshape(len(bands), -1, _GROUP).mean(axis=2)
    envelopes = (envelopes - envelopes.mean(axis=0)) * np.hanning(len(bands))[:, None]
    power = np.abs(np.fft.rfft(envelopes, axis=0)) ** 2 / len(bands)
    rates = np.fft.rfftfreq(len(bands), 1 / _FRAMES_A_SECOND)
    ranges = [(rates >= low) & (rates < high) for low, high in pairwise(_MODULATION_HZ)]
    return np.concatenate([np.sqrt(power[inside].sum(axis=0)) for inside in ranges])


def _rhythm(bands: FloatArray) -> FloatArray:
    """Return statistics of the onsets, and how regularly, and how often, they return."""
    onsets = np.maximum(0.0, np.diff(bands, axis=0)).mean(axis=1)
    centred = onsets - onsets.mean()
    energy = float(centred @ centred)
    echo = np.correlate(centred, centred, mode="full")[len(centred) :][_RHYTHM_LAGS]
    best = int(echo.argmax()) if len(echo) else 0
    strength = float(echo[best]) / energy if len(echo) and energy > _FLOOR else 0.0
    rate = np.log2(_FRAMES_A_SECOND / (best + _RHYTHM_LAGS.start + 1)) if strength > 0 else 0.0
    peakedness = onsets.max() / (onsets.mean() + 0.01)
    return np.array([onsets.mean(), onsets.std(), onsets.max(), peakedness / 10, strength, rate], dtype=np.float32)


def _level(samples: FloatArray) -> FloatArray:
    """Return statistics of the loudness over time, in units of 10 dB, and the share of quiet time."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    level = np.log10(np.square(windows).mean(axis=1) + _FLOOR)
    crossings = np.mean(np.signbit(windows[:, 1:]) != np.signbit(windows[:, :-1]), axis=1)
    quiet = np.mean(level < level.max() - 2.0)
    loud = [level.mean(), level.std(), level.max(), level.min(), quiet, np.abs(np.diff(level)).mean()]
    return np.array([*loud, crossings.mean(), crossings.std()], dtype=np.float32)


def _shape(spectra: FloatArray) -> FloatArray:
    """Return flatness of each octave, centroid and width (octaves), and how alike spectra are over time."""
    power = np.square(spectra) + np.float32(_FLOOR)
    sizes = np.diff([*_OCTAVE_BINS, power.shape[1]])
    mean_log = np.add.reduceat(np.log(power), _OCTAVE_BINS, axis=1) / sizes
    flatness = mean_log - np.log(np.add.reduceat(power, _OCTAVE_BINS, axis=1) / sizes)
    octave = np.log2(np.arange(_OCTAVE_BINS[0], power.shape[1]) / _OCTAVE_BINS[0])
    heard = power[:, _OCTAVE_BINS[0] :]
    total = heard.sum(axis=1)
    centre = heard @ octave / total
    width = np.sqrt(np.maximum(0.0, heard @ octave**2 / total - centre**2))
    unit = spectra / (np.linalg.norm(spectra, axis=1, keepdims=True) + np.float32(np.sqrt(_FLOOR)))
    likeness = [np.mean(np.sum(unit[lag:] * unit[:-lag], axis=1)) if lag < len(unit) else 0.0 for lag in (1, 4, 16)]
    moments = [f(x) for x in (centre, width) for f in (np.mean, np.std)]
    return np.concatenate([flatness.mean(axis=0), flatness.std(axis=0), moments, likeness])


def _pitch(samples: FloatArray) -> FloatArray:
    """Return strength, height (octaves over 80 Hz) and steadiness of the pitch, from the autocorrelation."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[:: 2 * HOP]
    echo = np.fft.irfft(np.abs(np.fft.rfft(windows * hann(), n=_PITCH_FFT, axis=1)) ** 2, axis=1)
    energy = echo[:, 0]
    ratio = echo[:, _PITCH_LAGS] / (energy[:, None] + _FLOOR * WINDOW) / _window_echo()
    lags = np.arange(_PITCH_LAGS.start, _PITCH_LAGS.stop)
    best = (ratio - _OCTAVE_COST * np.log2(lags)).argmax(axis=1)
    strength = np.clip(np.take_along_axis(ratio, best[:, None], axis=1)[:, 0], 0.0, 1.0)
    height = np.log2(SAMPLE_RATE / 80.0 / lags[best])
    weight = strength / (strength.sum() + 1e-3)
    mean = float(weight @ height)
    spread = np.sqrt(weight @ (height - mean) ** 2)
    both = np.minimum(strength[1:], strength[:-1])
    glide = both @ np.abs(np.diff(height)) / (both.sum() + 1e-3)
    voiced = np.mean(strength > 0.6)
    return np.array([strength.mean(), strength.std(), strength.max(), voiced, mean, spread, glide], dtype=np.float32)


@cache
def _window_echo() -> FloatArray:
    """Return the window's own autocorrelation at the pitch lags, relative to lag 0."""
    echo = np.fft.irfft(np.abs(np.fft.rfft(hann(), n=_PITCH_FFT)) ** 2)
    relative: FloatArray = (echo[_PITCH_LAGS] / echo[0]).astype(np.float32)
    return relative
