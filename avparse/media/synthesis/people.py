"""Drawings of people, each moving as they do when they make their sound."""

from __future__ import annotations

import math

import numpy as np

from avparse.media.synthesis.faces import HAIR, SKIN, eye, mouth
from avparse.media.synthesis.pen import INK, Colour, Drawing, Pen, Point, pick, shade, spin, wave

_CLOTH: tuple[Colour, ...] = ((190, 50, 55), (50, 95, 175), (60, 140, 80), (225, 175, 60), (120, 70, 140), (70, 75, 85))


def speech(rng: np.random.Generator) -> Drawing:
    """A head and shoulders; the mouth opens and shuts at the pace of syllables."""
    skin, hair, shirt = pick(rng, SKIN), pick(rng, HAIR), pick(rng, _CLOTH)
    long_hair, glasses = rng.random() < 0.5, rng.random() < 0.3
    mouths = rng.uniform(0.1, 1, 16) * np.tile([1.0, 0.25], 8)

    def draw(pen: Pen, phase: float) -> None:
        index = int(phase * len(mouths))
        opening, nod = float(mouths[index]), 0.02 * math.sin(2 * math.pi * phase)
        if long_hair:
            pen.disc(0, -0.12 + nod, 0.56, 0.66, hair)
        pen.disc(0, 1.0, 0.85, 0.48, shirt)
        pen.box(0, 0.42, 0.16, 0.2, shade(skin, 0.9))
        pen.disc(0, -0.2 + nod, 0.45, 0.58, skin)
        pen.shape([(-0.46, -0.3 + nod), (-0.4, -0.68 + nod), (0, -0.86 + nod), (0.4, -0.68 + nod), (0.46, -0.3 + nod),
                   (0.25, -0.55 + nod), (-0.2, -0.52 + nod)], hair)  # fmt: skip
        for side in (-1, 1):
            eye(pen, 0.18 * side, -0.27 + nod, 0.08, shut=index == len(mouths) - 2)
            if glasses:
                pen.arc(0.18 * side, -0.27 + nod, 0.14, 0.13, 0, 360, 0.03)
        pen.line([(0, -0.2 + nod), (0.05, -0.05 + nod), (-0.02, -0.04 + nod)], shade(skin, 0.6), 0.03)
        mouth(pen, 0, 0.13 + nod, 0.13 + 0.07 * (1 - opening), 0.02 + 0.14 * opening)

    return Drawing(draw, rate=rng.uniform(0.28, 0.4), travel=(0.03, 0.02), mirrored=rng.random() < 0.5, poses=16)


def singing(rng: np.random.Generator) -> Drawing:
    """A swaying singer at a microphone stand: arm raised, mouth wide, notes rising."""
    skin, hair, dress = pick(rng, SKIN), pick(rng, HAIR), pick(rng, ((200, 40, 120), (130, 60, 200), (240, 200, 70)))

    def draw(pen: Pen, phase: float) -> None:
        lean = 0.12 * math.sin(2 * math.pi * phase)
        lift = wave(phase)
        pen.shape([(-0.16, -0.1), (0.16 + lean / 2, -0.1), (0.42, 0.97), (-0.42, 0.97)], dress)
        pen.limb([(-0.14, 0.0), (-0.5, -0.1 - 0.2 * lift), (-0.72, -0.3 - 0.45 * lift)], skin, 0.1)
        pen.line([(0.42, 0.97), (0.42, -0.1), (0.2 + lean, -0.28)], (90, 90, 100), 0.06)
        pen.disc(0.42, 0.95, 0.2, 0.05, (90, 90, 100))
        pen.limb([(0.14, 0.02), (0.36, 0.22), (0.42, -0.02)], skin, 0.1)
        pen.disc(lean, -0.5, 0.32, 0.4, hair)
        pen.disc(lean, -0.44, 0.25, 0.31, skin)
        for side in (-1, 1):
            pen.arc(lean + 0.1 * side, -0.5, 0.06, 0.05, 190, 350, 0.03)
        mouth(pen, lean + 0.02, -0.3, 0.09, 0.05 + 0.09 * wave(phase, 2))
        pen.disc(0.2 + lean, -0.28, 0.09, 0.08, (60, 60, 65))
        for note in range(3):
            rise = (phase + note / 3) % 1
            _note(pen, 0.45 + 0.12 * note, -0.35 - 0.5 * rise)

    return Drawing(draw, rate=rng.uniform(0.5, 0.8), travel=(0.04, 0.0), mirrored=rng.random() < 0.5)


def cheering(rng: np.random.Generator) -> Drawing:
    """Rows of fans jumping with their arms in the air."""
    fans = []
    for row, (y, count) in enumerate(((0.05, 4), (0.5, 3))):
        for seat in range(count):
            x = (seat - (count - 1) / 2) * 0.56 + rng.uniform(-0.05, 0.05)
            fans.append((x, y, 0.16 + 0.04 * row, pick(rng, SKIN), pick(rng, HAIR), pick(rng, _CLOTH), rng.random()))

    def draw(pen: Pen, phase: float) -> None:
        for x, y, size, skin, hair, shirt, late in fans:
            jump = wave((phase + late) % 1)
            top = y - 0.3 * jump
            swing = 0.12 * math.sin(4 * math.pi * (phase + late))
            for side in (-1, 1):
                pen.limb([(x + side * size, top + 0.35), (x + side * 1.5 * size + swing, top - 0.4)], skin, 0.09)
            pen.box(x, top + 0.6, 1.3 * size, 0.4, shirt, corner=0.12)
            pen.disc(x, top - 0.04, 1.02 * size, 1.05 * size, hair)
            pen.disc(x, top + 0.03, 0.9 * size, size, skin)
            for side in (-1, 1):
                pen.disc(x + 0.35 * side * size, top - 0.02, 0.025, 0.03, INK, edge=0)
            mouth(pen, x, top + 0.11, 0.07, 0.06)

    return Drawing(draw, rate=rng.uniform(1.2, 1.7), travel=(0.0, 0.0))


def clapping(rng: np.random.Generator) -> Drawing:
    """Two big hands that meet and part, with marks where they hit."""
    skin, sleeve = pick(rng, SKIN), pick(rng, _CLOTH)

    def draw(pen: Pen, phase: float) -> None:
        gap = 0.38 * wave(phase)
        for side in (-1, 1):
            tilt = side * (8 + 40 * gap)
            centre = (side * (0.13 + gap), 0.0)
            pen.limb([(side * (0.3 + gap), 0.5), (side * 0.8, 1.0)], sleeve, 0.3)
            for finger in range(4):
                base = (centre[0] + side * (0.1 - 0.07 * finger), -0.1)
                tip = (base[0], -0.72 + 0.07 * abs(finger - 1.5))
                pen.limb(spin([base, tip], tilt, centre), shade(skin, 0.94 + 0.02 * finger), 0.11)
            palm = [(-0.17, -0.2), (0.17, -0.2), (0.2, 0.25), (0.08, 0.5), (-0.1, 0.5), (-0.2, 0.25)]
            pen.shape(spin([(centre[0] + x, y) for x, y in palm], tilt, centre), skin)
            pen.limb(spin([(centre[0] + side * 0.16, 0.2), (centre[0] + side * 0.34, -0.16)], tilt, centre), skin, 0.11)
        if gap < 0.06:
            for angle in (-60, -90, -120, -30, -150):
                ray = spin([(0.62, 0), (0.85, 0)], angle, (0.0, 0.0))
                pen.line([(x, y - 0.1) for x, y in ray], (255, 230, 90), 0.06)

    return Drawing(draw, rate=rng.uniform(2.2, 3.0), travel=(0.02, 0.03))


def baby_cry(rng: np.random.Generator) -> Drawing:
    """A round bald face, eyes squeezed, a square wailing mouth, tears running; fists shake."""
    skin = pick(rng, SKIN[:3])
    suit = pick(rng, ((170, 205, 240), (245, 190, 205), (250, 235, 160), (190, 230, 190)))

    def draw(pen: Pen, phase: float) -> None:
        wail, shake = 0.35 + 0.65 * wave(phase), 0.03 * math.sin(10 * math.pi * phase)
        pen.disc(0, 1.0, 0.75, 0.42, suit)
        for side in (-1, 1):
            fist = (side * 0.78, 0.45 + 0.16 * math.sin(6 * math.pi * phase + side))
            pen.limb([(side * 0.5, 0.85), fist], suit, 0.2)
            pen.disc(*fist, 0.14, 0.13, skin)
            pen.disc(side * 0.66 + shake, -0.1, 0.1, 0.13, skin)
        pen.disc(shake, -0.12, 0.66, 0.62, skin)
        pen.arc(0.05 + shake, -0.68, 0.13, 0.13, 20, 250, 0.04)
        for side in (-1, 1):
            pen.disc(side * 0.4 + shake, 0.1, 0.15, 0.1, (235, 130, 120), edge=0)
            x = side * 0.27 + shake
            pen.line([(x - 0.12 * side, -0.25), (x + 0.02 * side, -0.17), (x - 0.12 * side, -0.12)], INK, 0.045)
            pen.line([(x - 0.1 * side, -0.42), (x + 0.12 * side, -0.35)], shade(skin, 0.55), 0.05)
            for drop in range(2):
                fall = (phase * 2 + drop / 2 + 0.25 * side) % 1
                pen.disc(x + side * 0.08, -0.08 + 0.5 * fall, 0.05, 0.08, (120, 190, 245), edge=0.015)
        mouth(pen, shake, 0.2, 0.2 + 0.05 * wail, 0.22 * wail)

    return Drawing(draw, rate=rng.uniform(0.8, 1.1), travel=(0.02, 0.02))


def _note(pen: Pen, x: float, y: float) -> None:
    stem: list[Point] = [(x + 0.05, y), (x + 0.05, y - 0.2), (x + 0.14, y - 0.14)]
    pen.disc(x, y, 0.06, 0.05, INK, edge=0)
    pen.line(stem, INK, 0.035)
