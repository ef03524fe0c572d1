"""Sounds of people and animals. Each draws a variant from ``rng`` and lasts as long as asked, without long gaps."""

from __future__ import annotations

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.media.synthesis.waves import (
    VOWELS,
    band,
    beats,
    glide,
    level,
    scatter,
    shaped_noise,
    swell,
    tone,
    voice,
    wander,
)

_VOWELS = np.array(list(VOWELS.values()), dtype=np.float32)


def speech(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Syllables of moving formants in phrases, with consonants of noise between some of them."""
    male = rng.random() < 0.5
    base = rng.uniform(90, 140) if male else rng.uniform(170, 240)
    tract = rng.uniform(0.95, 1.05) * (1.0 if male else 1.15)
    pace = rng.uniform(0.16, 0.24)  # seconds a syllable
    onsets = np.array(beats(rng, samples / sample_rate + 1, 0.7 * pace, 1.3 * pace))
    targets = _VOWELS[rng.integers(len(_VOWELS), size=len(onsets))] * tract
    pauses = rng.random(len(onsets)) < 0.12
    pauses[0] = False
    time = np.arange(samples) / sample_rate
    # A vowel is held for 60 % of its syllable and then slides to the next.
    knots = np.stack([onsets, onsets + 0.6 * pace * 0.7], axis=1).reshape(-1)
    held = np.repeat(targets, 2, axis=0)
    formants = np.stack([np.interp(time, knots, held[:, j]) for j in range(held.shape[1])], axis=1)
    position = np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, len(onsets) - 2)
    within = (time - onsets[position]) / (onsets[position + 1] - onsets[position])
    loud = np.sin(np.pi * np.clip(within * 1.15, 0, 1)) ** 0.7 * rng.uniform(0.6, 1, len(onsets))[position]
    pitch = base * wander(rng, samples, sample_rate, 2.0, 0.8, 1.25)
    vowels = voice(pitch, formants, sample_rate, width=70.0) * loud * ~pauses[position]
    hiss = shaped_noise(rng, samples, sample_rate, band(2500 * tract, 6000))
    spoken = rng.random(len(onsets)) < 0.5
    consonants = hiss * np.clip(1 - np.abs(within - 0.88) / 0.12, 0, 1) * (spoken & ~pauses)[position]
    return np.asarray(vowels + 0.35 * consonants, dtype=np.float32)


def singing(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Long sung vowels on a pentatonic scale, with vibrato."""
    root = rng.choice([rng.uniform(130, 180), rng.uniform(260, 360)])
    scale = root * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)
    onsets = np.array(beats(rng, samples / sample_rate + 1, *sorted(rng.uniform(0.35, 0.9, 2))))
    steps = np.clip(2 + np.cumsum(rng.integers(-2, 3, len(onsets))), 0, len(scale) - 1)
    time = np.arange(samples) / sample_rate
    knots = np.stack([onsets, np.append(onsets[1:], onsets[-1] + 1) - 0.06], axis=1).reshape(-1)  # 60 ms portamento
    melody = np.interp(time, knots, np.repeat(scale[steps], 2))
    vibrato = 1 + rng.uniform(0.015, 0.03) * np.sin(2 * np.pi * rng.uniform(5, 6.5) * time)
    choice = rng.choice([0, 1, 3], size=len(onsets))  # a, e, o carry well
    formants = np.stack([np.interp(time, knots, np.repeat(_VOWELS[choice, j], 2)) for j in range(3)], axis=1)
    tremolo = 0.85 + 0.15 * np.sin(2 * np.pi * 5.5 * time)
    return voice(melody * vibrato, 1.1 * formants, sample_rate, width=60.0, tilt=0.5) * tremolo.astype(np.float32)


def cheering(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """A crowd: a roar of vowel-coloured noise, many sliding shouts, and whistles in some variants."""
    centre = rng.uniform(800, 1200)
    roar = shaped_noise(
        rng, samples, sample_rate, lambda f: 1 / (1 + ((f - centre) / 450) ** 2) + 0.15 * band(1800, 3500)(f)
    )
    roar *= wander(rng, samples, sample_rate, 1.5, 0.6, 1.0)
    shouts = []
    for start in beats(rng, samples / sample_rate, 0.08, 0.3):
        length = int(rng.uniform(0.3, 0.7) * sample_rate)
        base = rng.uniform(350, 750)
        pitch = base * glide(length, [(0, 0.8), (0.35, rng.uniform(1.1, 1.4)), (1, 0.75)])
        cry = tone(pitch, length, sample_rate) + 0.6 * tone(2 * pitch, length, sample_rate)
        shouts.append((start, rng.uniform(0.1, 0.3) * cry * swell(length, sample_rate, 0.08, 0.2)))
    sound = roar + scatter(samples, sample_rate, shouts)
    if rng.random() < 0.5:
        whistles = []
        for start in beats(rng, samples / sample_rate, 0.6, 1.6):
            length = int(rng.uniform(0.3, 0.6) * sample_rate)
            pitch = rng.uniform(1900, 2600) * glide(length, [(0, 0.8), (0.3, 1.25), (1, 0.9)])
            whistles.append((start, 0.5 * tone(pitch, length, sample_rate) * swell(length, sample_rate, 0.03, 0.1)))
        sound = sound + scatter(samples, sample_rate, whistles)
    return sound


def clapping(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Hand claps: one steady pair of hands, or an audience in which each keeps its own pace."""
    people = int(rng.choice([1, 2, 5, 8, 11]))
    claps = []
    for _ in range(people):
        pace, centre = rng.uniform(0.2, 0.38), rng.uniform(900, 2200)
        length = int(0.07 * sample_rate)
        noise = shaped_noise(rng, length, sample_rate, band(0.6 * centre, 1.9 * centre))
        clap = noise * np.exp(-np.arange(length) / (rng.uniform(0.007, 0.014) * sample_rate))
        late = rng.uniform(0, pace) if people > 1 else 0.0
        claps += [
            (late + start, rng.uniform(0.6, 1) * clap)
            for start in beats(rng, samples / sample_rate, 0.93 * pace, 1.07 * pace)
        ]
    return scatter(samples, sample_rate, claps)


def dog(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Barks: short, rough, falling in pitch; big and small dogs."""
    size = rng.uniform(0, 1)  # 0 a small dog, 1 a big one
    base, length = 520 - 340 * size, int((0.11 + 0.12 * size) * sample_rate)
    mouth = np.array([1300 - 600 * size, 2300 - 900 * size, 3600 - 900 * size])
    barks = []
    for start in beats(rng, samples / sample_rate, 0.26 + 0.1 * size, 0.55 + 0.15 * size):
        pitch = base * rng.uniform(0.95, 1.05) * glide(length, [(0, 0.8), (0.2, 1.25), (1, 0.6)])
        throat = voice(pitch, mouth, sample_rate, width=250.0, tilt=0.2)
        breath = shaped_noise(rng, length, sample_rate, band(0.7 * mouth[0], 1.5 * mouth[1]))
        bark = (throat + 0.5 * breath) * glide(length, [(0, 0), (0.12, 1), (0.5, 0.6), (1, 0)])
        barks.append((start, rng.uniform(0.8, 1) * bark))
    return scatter(samples, sample_rate, barks)


def cat(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Meows: a pitch that rises and falls while the mouth opens and closes."""
    base = rng.uniform(480, 720)
    slow = rng.uniform(0.5, 0.85)
    meows = []
    for start in beats(rng, samples / sample_rate, slow + 0.08, slow + 0.35):
        length = int(slow * rng.uniform(0.9, 1.05) * sample_rate)
        pitch = base * rng.uniform(0.95, 1.05) * glide(length, [(0, 0.85), (0.3, 1.25), (0.7, 1.1), (1, 0.7)])
        first = glide(length, [(0, 500), (0.4, 1500), (1, 650)])
        second = glide(length, [(0, 3000), (0.4, 2300), (1, 1300)])
        mouth = np.stack([first, second], axis=1)
        meow = voice(pitch, mouth, sample_rate, width=180.0, tilt=0.4)
        meows.append((start, meow * glide(length, [(0, 0), (0.15, 0.8), (0.5, 1), (1, 0)])))
    return scatter(samples, sample_rate, meows)


def rooster(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Cock-a-doodle-doo: two short calls, a high long one, and a falling end; clucks fill the wait."""
    base, pace = rng.uniform(480, 650), rng.uniform(0.85, 1.15)
    calls = []
    for start in beats(rng, samples / sample_rate, 1.75 * pace, 2.0 * pace):
        at = start
        for length_s, points in (
            (0.16, [(0, 0.8), (0.4, 1.1), (1, 0.9)]),
            (0.2, [(0, 0.9), (0.5, 1.3), (1, 1.1)]),
            (0.42, [(0, 1.2), (0.3, 1.7), (1, 1.65)]),
            (0.6, [(0, 1.6), (0.4, 1.3), (1, 0.7)]),
        ):
            length = int(length_s * pace * sample_rate)
            pitch = base * glide(length, points) * (1 + 0.02 * np.sin(2 * np.pi * 38 * np.arange(length) / sample_rate))
            crow = voice(pitch, np.array([1150.0, 2500.0, 3700.0]), sample_rate, width=320.0, tilt=0.1)
            calls.append((at, crow * swell(length, sample_rate, 0.03, 0.06)))
            at += (length_s + 0.05) * pace
    return scatter(samples, sample_rate, calls)


def baby_cry(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Wails of about a second, high and harsh, with an audible breath between them."""
    base = rng.uniform(380, 520)
    length_s = rng.uniform(0.65, 1.0)
    wails = []
    for start in beats(rng, samples / sample_rate, length_s + 0.22, length_s + 0.4):
        length = int(length_s * sample_rate)
        shake = 1 + 0.035 * np.sin(2 * np.pi * rng.uniform(7, 10) * np.arange(length) / sample_rate)
        pitch = base * glide(length, [(0, 0.8), (0.25, 1.15), (0.6, 1.1), (1, 0.75)]) * shake
        wail = voice(pitch, np.array([1200.0, 1700.0, 3800.0]), sample_rate, width=220.0, tilt=0.1)
        wails.append((start, wail * glide(length, [(0, 0), (0.1, 0.9), (0.7, 1), (1, 0)])))
        gasp = int(0.16 * sample_rate)
        breath = shaped_noise(rng, gasp, sample_rate, band(900, 2800)) * np.hanning(gasp)
        wails.append((start + length_s + 0.03, level(breath) * np.float32(0.3)))
    return scatter(samples, sample_rate, wails)
