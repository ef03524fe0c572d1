"""Sounds of machines, instruments and things. Each draws a variant from ``rng`` and lasts as long as asked."""

from __future__ import annotations

import numpy as np

from avparse.foundation.arrays import BoolArray, Float32Array, FloatArray
from avparse.media.synthesis.waves import (
    band,
    beats,
    cycles,
    exhaust,
    level,
    looped,
    pluck,
    scatter,
    shaped_noise,
    strike,
    swell,
    tone,
    voice,
    wander,
)


def car(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A smooth low engine, tyres on the road that swell as it passes, and a horn in some variants."""
    speed = rng.uniform(45, 80) * wander(rng, samples, sample_rate, 0.4, 0.85, 1.2)
    engine = looped(exhaust(14, [(2, 3.0), (4, 2.0)], 1.1), cycles(speed, sample_rate))
    road = shaped_noise(rng, samples, sample_rate, band(120, rng.uniform(500, 900)))
    sound = (0.8 * engine + 1.2 * road) * wander(rng, samples, sample_rate, 0.5, 0.6, 1.0)
    if rng.random() < 0.4:
        low = rng.uniform(330, 440)
        horns = []
        for start in beats(rng, samples / sample_rate, 1.2, 2.6):
            length = int(rng.uniform(0.2, 0.5) * sample_rate)
            horn = sum(tone(f * k, length, sample_rate) / k for f in (low, 1.26 * low) for k in (1, 2, 3, 4))
            horns.append((start + 0.3, 0.3 * horn * swell(length, sample_rate, 0.02, 0.03)))
        sound = sound + scatter(samples, sample_rate, horns)
    return sound.astype(np.float32)


def motorcycle(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Separate exhaust pulses at idle that run together when it revs, again and again."""
    idle, top = rng.uniform(16, 26), rng.uniform(60, 110)
    twist = np.clip(wander(rng, samples, sample_rate, rng.uniform(1.2, 2.0), -0.4, 1.1), 0, 1)
    pace = cycles(idle + (top - idle) * twist, sample_rate)
    resonance = rng.uniform(8, 14)
    engine = looped(exhaust(90, [(resonance, 5.0), (2.7 * resonance, 3.0)], 0.45), pace)
    rasp = shaped_noise(rng, samples, sample_rate, band(300, 2200)) * np.exp(-6 * (pace % 1))
    return np.asarray((engine + 0.7 * rasp) * (0.55 + 0.45 * twist), dtype=np.float32)


def chainsaw(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A small two-stroke that screams, sags under load, and drops to idle when the trigger is let go."""
    top = rng.uniform(140, 210)
    pull = np.clip(1.6 * wander(rng, samples, sample_rate, rng.uniform(0.8, 1.6), -0.1, 1.0), 0.3, 1)
    pace = cycles(top * pull * wander(rng, samples, sample_rate, 6, 0.95, 1.05), sample_rate)
    engine = looped(exhaust(40, [(7, 2.0), (14, 3.0), (24, 3.0)], 0.15), pace)
    chips = shaped_noise(rng, samples, sample_rate, band(2500, 6500)) * (0.5 + 0.5 * np.sin(2 * np.pi * pace))
    return np.asarray((engine + 0.9 * chips * pull) * (0.4 + 0.6 * pull), dtype=np.float32)


def helicopter(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Blades chopping the air eleven to eighteen times a second, with a turbine's whine behind."""
    chop = cycles(rng.uniform(11, 18) * wander(rng, samples, sample_rate, 0.4, 0.96, 1.04), sample_rate) % 1
    blade = np.exp(-((chop - 0.2) ** 2) / 0.012) + 0.12
    air = shaped_noise(rng, samples, sample_rate, band(40, rng.uniform(250, 600)))
    thump = np.sin(2 * np.pi * 3 * chop) * blade
    whine = tone(rng.uniform(2200, 3400) * wander(rng, samples, sample_rate, 1.0, 0.99, 1.01), samples, sample_rate)
    return np.asarray(1.3 * air * blade + 0.5 * thump + 0.04 * whine, dtype=np.float32)


def fire_alarm(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Piercing beeps near 3 kHz (steady or in threes), or a whooping siren."""
    time = np.arange(samples) / sample_rate
    kind = int(rng.integers(3))
    if kind == 2:  # whoop
        period, low = rng.uniform(0.5, 0.9), rng.uniform(650, 900)
        sweep = low * 2.2 ** ((time / period) % 1)
        return tone(sweep, samples, sample_rate) + np.float32(0.4) * tone(3 * sweep, samples, sample_rate)
    on = rng.uniform(0.12, 0.25)
    beat = time / (2 * on)
    sounding = (beat % 1) < 0.5
    if kind == 1:
        sounding &= np.floor(beat) % 4 < 3  # threes, then a rest
    pitch = rng.uniform(2500, 3300)
    beep = tone(pitch, samples, sample_rate) + 0.5 * tone(2 * pitch, samples, sample_rate)
    return np.asarray(beep * _unclicked(sounding), dtype=np.float32)


def telephone(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Rings with short rests: two brass bells struck in turn, or an electronic warble."""
    pace, low = rng.uniform(16, 24), rng.uniform(850, 1250)
    high = low * rng.uniform(1.15, 1.35)
    time = np.arange(samples) / sample_rate
    ring, rest = rng.uniform(0.6, 1.0), rng.uniform(0.2, 0.4)
    ringing = (time % (ring + rest)) < ring
    if rng.random() < 0.5:
        warble = np.where((time * pace) % 1 < 0.5, low, high)
        sound = tone(warble, samples, sample_rate) + 0.35 * tone(2 * warble, samples, sample_rate)
        return np.asarray(sound * _unclicked(ringing), dtype=np.float32)
    bells = []
    for pitch in (low, high):
        partials = [(pitch, 1.0, 0.3), (2.4 * pitch, 0.6, 0.2), (4.3 * pitch, 0.35, 0.1)]
        partials = [p for p in partials if p[0] < 0.45 * sample_rate]
        bells.append(strike(int(0.4 * sample_rate), sample_rate, partials))
    strokes = [n / pace for n in range(int(samples / sample_rate * pace)) if (n / pace) % (ring + rest) < ring]
    return scatter(samples, sample_rate, [(at, bells[n % 2]) for n, at in enumerate(strokes)])


def guitar(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Plucked strings: broken chords or strums over a four-chord turn."""
    root = rng.uniform(98, 150)
    beat, strummed = rng.uniform(0.16, 0.28), rng.random() < 0.4
    damping = rng.uniform(0.990, 0.997)
    chords = [(0, 7, 12, 16, 19, 24), (9, 16, 21, 24, 28, 33), (5, 12, 17, 21, 24, 29), (7, 14, 19, 23, 26, 31)]
    ring_s = 1.0
    strings: dict[float, Float32Array] = {}
    notes = []
    for count, start in enumerate(beats(rng, samples / sample_rate, 0.97 * beat, 1.03 * beat)):
        chord = chords[count // 8 % len(chords)]
        if strummed and count % 2:
            continue
        steps = chord if strummed else (chord[0],) if count % 8 == 0 else (int(rng.choice(chord[1:])),)
        for order, step in enumerate(steps):
            pitch = root * 2 ** (step / 12)
            if pitch not in strings:
                string = pluck(rng, pitch, int(ring_s * sample_rate), sample_rate, damping)
                strings[pitch] = string * swell(len(string), sample_rate, 0.001, 0.1)
            notes.append((start + 0.012 * order, strings[pitch]))
    return scatter(samples, sample_rate, notes)


def violin(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A bowed string in a high register: legato notes of a minor scale, vibrato, a little bow noise."""
    root = rng.uniform(390, 590)
    onsets = np.array(beats(rng, samples / sample_rate + 1, *sorted(rng.uniform(0.18, 0.6, 2))))
    scale = root * 2 ** (np.array([0, 2, 3, 5, 7, 8, 10, 12]) / 12)
    steps = np.clip(3 + np.cumsum(rng.integers(-2, 3, len(onsets))), 0, len(scale) - 1)
    return _bowed(rng, samples, sample_rate, onsets, scale[steps], np.array([1000.0, 2700.0, 4300.0]))


def cello(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A bowed string in a low register: slow notes, deep body."""
    root = rng.uniform(65, 98)
    onsets = np.array(beats(rng, samples / sample_rate + 1, *sorted(rng.uniform(0.5, 1.2, 2))))
    scale = root * 2 ** (np.array([0, 2, 3, 7, 10, 12, 14]) / 12)
    steps = np.clip(2 + np.cumsum(rng.integers(-2, 3, len(onsets))), 0, len(scale) - 1)
    return _bowed(rng, samples, sample_rate, onsets, scale[steps], np.array([220.0, 480.0, 1100.0]))


def basketball(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A ball on a floor: a thump, a hollow ring of the air inside, and a slap, two or three times a second."""
    pace, hollow = rng.uniform(0.33, 0.6), rng.uniform(380, 560)
    length = int(0.3 * sample_rate)
    thump = strike(
        length, sample_rate, [(rng.uniform(70, 110), 1.0, 0.06), (hollow, 0.6, 0.05), (2.1 * hollow, 0.3, 0.03)]
    )
    slap = shaped_noise(rng, length, sample_rate, band(500, 3000)) * np.exp(-np.arange(length) / (0.008 * sample_rate))
    bounces = beats(rng, samples / sample_rate, 0.92 * pace, 1.08 * pace)
    return scatter(samples, sample_rate, [(at, rng.uniform(0.7, 1) * (thump + 0.7 * slap)) for at in bounces])


def frying(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A bright steady hiss full of tiny crackles."""
    hiss = shaped_noise(rng, samples, sample_rate, band(rng.uniform(2500, 3500), 7000))
    hiss *= wander(rng, samples, sample_rate, 3, 0.7, 1.0)
    pops = np.zeros(samples, np.float32)
    where = rng.integers(samples, size=int(samples / sample_rate * rng.uniform(40, 120)))
    pops[where] = rng.exponential(1.0, len(where)) * rng.choice([-1, 1], len(where))
    crackle = np.convolve(pops, strike(int(0.004 * sample_rate), sample_rate, [(3300, 1.0, 0.001)]))[:samples]
    return np.asarray(0.45 * hiss + 0.5 * crackle, dtype=np.float32)


def _unclicked(gate: BoolArray) -> FloatArray:
    """Soften the edges of an on/off ``gate`` over a few milliseconds."""
    return np.convolve(gate, np.hanning(66) / np.hanning(66).sum(), mode="same")


def _bowed(
    rng: np.random.Generator, samples: int, sample_rate: int, onsets: FloatArray, notes: FloatArray, body: FloatArray
) -> Float32Array:
    """Bow ``notes`` (Hz, one an onset in seconds) legato, under the resonances of ``body`` (Hz)."""
    time = np.arange(samples) / sample_rate
    knots = np.stack([onsets, np.append(onsets[1:], onsets[-1] + 1) - 0.04], axis=1).reshape(-1)
    melody = np.interp(time, knots, np.repeat(notes, 2))
    vibrato = 1 + rng.uniform(0.006, 0.014) * np.sin(2 * np.pi * rng.uniform(5, 6.5) * time)
    string = voice(melody * vibrato, body, sample_rate, width=260.0 * body[0] / 600, tilt=0.8)
    position = np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, len(onsets) - 2)
    bite, lift = (time - onsets[position]) / 0.08, (onsets[position + 1] - time) / 0.03
    stroke = 0.3 + 0.7 * np.clip(np.minimum(bite, lift), 0, 1)  # the bow turns at each note
    rosin = shaped_noise(rng, samples, sample_rate, band(1500, 5000))
    return level((string + 0.03 * rosin) * stroke)
