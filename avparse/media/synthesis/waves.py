"""Building blocks of synthetic sounds: glides, voices, shaped noise, strikes, plucked strings, grains in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from avparse.foundation.arrays import Float32Array, Float64Array, FloatArray

# Mean first three formants of adult vowels in Hz (Peterson and Barney, 1952).
VOWELS = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
_CONTROL_HZ = 100


def glide(samples: int, points: Sequence[tuple[float, float]]) -> Float32Array:
    """Return a curve ``[samples]`` through (position in 0..1, value) points, linear between them."""
    positions, values = zip(*points, strict=True)
    return np.asarray(np.interp(np.linspace(0, 1, samples), positions, values), dtype=np.float32)


def wander(
    rng: np.random.Generator, samples: int, sample_rate: int, hertz: float, low: float, high: float
) -> Float32Array:
    """Return a smooth random curve ``[samples]`` between ``low`` and ``high``; ``hertz`` turns a second."""
    knots = rng.uniform(low, high, int(samples / sample_rate * hertz) + 3)
    at = np.arange(samples) * (hertz / sample_rate)
    left = at.astype(int)
    weight = (1 - np.cos(np.pi * (at - left))) / 2
    return np.asarray(knots[left] * (1 - weight) + knots[left + 1] * weight, dtype=np.float32)


def cycles(frequency: FloatArray, sample_rate: int) -> Float64Array:
    """Return the phase in cycles ``[samples]`` of an oscillator with instantaneous ``frequency`` (Hz)."""
    return np.cumsum(frequency, dtype=np.float64) / sample_rate


def tone(frequency: FloatArray | float, samples: int, sample_rate: int) -> Float32Array:
    """Return a sine ``[samples]`` of constant or changing ``frequency`` (Hz)."""
    curve = np.broadcast_to(np.asarray(frequency, dtype=np.float64), samples)
    return np.sin(2 * np.pi * cycles(curve, sample_rate)).astype(np.float32)


def looped(table: FloatArray, phase: Float64Array) -> Float32Array:
    """Read one cycle ``table`` at ``phase`` (cycles) without end."""
    return np.asarray(table, dtype=np.float32)[((phase % 1) * len(table)).astype(np.intp) % len(table)]


def exhaust(harmonics: int, resonances: Sequence[tuple[float, float]], slope: float, size: int = 2048) -> Float32Array:
    """Return one cycle ``[size]`` of an engine: ``harmonics`` partials falling as k**-slope, raised at the resonances.

    Args:
        harmonics: partials of the firing rate.
        resonances: (partial number, gain) of broad peaks.
        slope: slope of the spectral tilt.
        size: samples of the cycle.
    """
    k = np.arange(1, harmonics + 1)
    gains = k**-slope
    for centre, gain in resonances:
        gains = gains * (1 + gain * np.exp(-(((k - centre) / (0.25 * centre + 1)) ** 2)))
    phases = k * k * 2.4  # quadratic phases spread the pulse, as a pipe does
    cycle = np.fft.irfft(np.concatenate(([0], gains * np.exp(1j * phases))), n=size)
    return level(cycle)


def voice(
    pitch: FloatArray, formants: FloatArray, sample_rate: int, width: float = 90.0, tilt: float = 0.6
) -> Float32Array:
    """Sum the harmonics of ``pitch`` under moving formants.

    Args:
        pitch: ``[samples]`` fundamental in Hz.
        formants: formant centres ``[samples, J]`` or ``[J]`` in Hz, strongest first.
        sample_rate: sample rate in Hz.
        width: half width of the first formant in Hz; higher ones are broader.
        tilt: harmonics fall as k**-tilt.

    Returns:
        ``[samples]``, of peak 1.
    """
    samples = len(pitch)
    hop = sample_rate // _CONTROL_HZ
    frames = -(-samples // hop) + 1
    picks = np.minimum(np.arange(frames) * hop, samples - 1)
    slow_pitch = np.asarray(pitch, dtype=np.float32)[picks]
    centres = np.broadcast_to(np.asarray(formants, dtype=np.float32), (samples, np.shape(formants)[-1]))[picks]
    order = np.arange(centres.shape[1])
    widths = width * (1 + 0.5 * order)
    heights = 0.6**order
    theta = 2 * np.pi * cycles(pitch, sample_rate)
    twice_cosine = (2 * np.cos(theta)).astype(np.float32)
    before, now = np.zeros(samples, np.float32), np.sin(theta).astype(np.float32)
    ramp = np.linspace(0, 1, hop, endpoint=False, dtype=np.float32)
    total = np.zeros(samples, np.float32)
    for k in range(1, int(0.45 * sample_rate / max(float(slow_pitch.min()), 1.0)) + 1):
        partial = k * slow_pitch
        distance = (partial[:, None] - centres) / widths
        gain = (heights / (1 + distance * distance)).sum(axis=1) * k**-tilt * (partial < 0.45 * sample_rate)
        gain = gain.astype(np.float32)
        steps = gain[:-1, None] + (gain[1:] - gain[:-1])[:, None] * ramp  # [frames - 1, hop]
        total += steps.reshape(-1)[:samples] * now
        before, now = now, twice_cosine * now - before  # sin((k+1)x) = 2 cos(x) sin(kx) - sin((k-1)x)
    return level(total)


def shaped_noise(
    rng: np.random.Generator, samples: int, sample_rate: int, gain: Callable[[FloatArray], FloatArray]
) -> Float32Array:
    """Return noise ``[samples]`` of peak 1 whose spectrum is weighted by ``gain`` (of the frequencies in Hz)."""
    size = 1 << max(samples - 1, 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    return level(np.fft.irfft(spectrum * gain(np.fft.rfftfreq(size, 1 / sample_rate)), n=size)[:samples])


def band(low: float, high: float) -> Callable[[FloatArray], FloatArray]:
    """Return a gentle band-pass weighting between ``low`` and ``high`` Hz for :func:`shaped_noise`."""
    return lambda f: 1 / ((1 + (low / np.maximum(f, 1.0)) ** 4) * (1 + (f / high) ** 4))


def strike(samples: int, sample_rate: int, partials: Iterable[tuple[float, float, float]]) -> Float32Array:
    """Return decaying sines: ``partials`` are (frequency in Hz, amplitude, decay time in seconds)."""
    time = np.arange(samples, dtype=np.float32) / sample_rate
    total = np.zeros(samples, np.float32)
    for frequency, amplitude, decay in partials:
        total += amplitude * np.sin(2 * np.pi * frequency * time) * np.exp(-time / decay)
    return total


def pluck(rng: np.random.Generator, frequency: float, samples: int, sample_rate: int, damping: float) -> Float32Array:
    """Return a plucked string ``[samples]`` (Karplus and Strong, 1983), one period at a time.

    Args:
        rng: source of the initial displacement.
        frequency: pitch in Hz.
        samples: number of samples.
        sample_rate: sample rate in Hz.
        damping: energy kept per period, just under 1.
    """
    period = max(int(sample_rate / frequency - 0.5), 2)
    rows = np.empty((-(-samples // period), period), np.float32)
    row: FloatArray = rng.uniform(-1, 1, period)
    for index in range(len(rows)):
        rows[index] = row
        row = damping / 2 * (row + np.roll(row, 1))
    return rows.reshape(-1)[:samples]


def swell(samples: int, sample_rate: int, attack_s: float, release_s: float) -> Float32Array:
    """Return an envelope ``[samples]`` that rises in ``attack_s``, stays at 1 and falls in ``release_s``."""
    time = np.arange(samples, dtype=np.float32) / sample_rate
    return np.minimum(np.clip(time / attack_s, 0, 1), np.clip((samples / sample_rate - time) / release_s, 0, 1))


def beats(rng: np.random.Generator, seconds: float, shortest: float, longest: float) -> list[float]:
    """Return increasing times from 0 to ``seconds``; gaps are drawn between ``shortest`` and ``longest`` seconds."""
    times, now = [], 0.0
    while now < seconds:
        times.append(now)
        now += float(rng.uniform(shortest, longest))
    return times


def scatter(samples: int, sample_rate: int, grains: Iterable[tuple[float, FloatArray]]) -> Float32Array:
    """Add ``grains`` (start in seconds, waveform) into a signal ``[samples]``; what passes the end is cut."""
    total = np.zeros(samples, np.float32)
    for start_s, grain in grains:
        first = int(start_s * sample_rate)
        part = grain[: max(samples - first, 0)]
        total[first : first + len(part)] += part
    return total


def level(signal: FloatArray) -> Float32Array:
    """Return ``signal`` scaled to a peak of 1 (silence stays silence)."""
    peak = float(np.abs(signal).max(initial=0.0))
    return (signal / peak if peak > 0 else signal).astype(np.float32)
