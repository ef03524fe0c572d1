"""Drawings of instruments and other things in somebody's hands."""

from __future__ import annotations

import math

import numpy as np

from avparse.media.synthesis.faces import SKIN
from avparse.media.synthesis.pen import INK, Colour, Drawing, Pen, Point, pick, shade, spin


def guitar(rng: np.random.Generator) -> Drawing:
    """A guitar aslant with strings that tremble under a strumming hand."""
    wood = pick(rng, ((215, 150, 75), (165, 85, 45), (235, 195, 130), (110, 55, 40)))
    slant = rng.uniform(-38, -22)

    def draw(pen: Pen, phase: float) -> None:
        stroke = 0.3 * math.sin(2 * math.pi * phase)

        def turned(points: list[Point]) -> list[Point]:
            return spin(points, slant, (-0.2, 0.15))

        pen.shape(turned([(0.1, 0.07), (0.98, 0.09), (0.98, 0.21), (0.1, 0.23)]), (85, 55, 40))
        pen.shape(turned([(0.95, 0.05), (1.2, 0.03), (1.2, 0.27), (0.95, 0.25)]), shade(wood, 0.7))
        for x, r in ((-0.5, 0.42), (0.02, 0.31)):
            pen.disc(*turned([(x, 0.15)])[0], r, r, wood)
        pen.disc(*turned([(-0.26, 0.15)])[0], 0.3, 0.24, wood, edge=0)
        pen.disc(*turned([(-0.1, 0.15)])[0], 0.15, 0.15, (50, 32, 28))
        pen.shape(turned([(-0.62, 0.02), (-0.54, 0.02), (-0.54, 0.28), (-0.62, 0.28)]), (70, 42, 32))
        for string in range(4):
            y = 0.09 + 0.04 * string
            tremble = 0.025 * math.sin(2 * math.pi * (3 * phase + string / 4))
            pen.line(turned([(-0.58, y), (-0.1, y + tremble), (1.0, y)]), (245, 240, 225), 0.018)
        hand = turned([(-0.25, 0.1 + stroke)])[0]
        pen.limb([(-0.75, 0.98), (-0.6, 0.65 + 0.4 * stroke), hand], SKIN[1], 0.18)
        pen.disc(*hand, 0.14, 0.12, SKIN[1])

    return Drawing(draw, rate=rng.uniform(1.5, 2.5), travel=(0.02, 0.02), mirrored=rng.random() < 0.3)


def violin(rng: np.random.Generator) -> Drawing:
    """A violin laid to the side, the bow sliding fast across it."""
    wood = pick(rng, ((170, 75, 35), (195, 105, 50), (125, 50, 30)))

    def draw(pen: Pen, phase: float) -> None:
        _fiddle(pen, wood, (-0.15, 0.2), 0.62, -28)
        reach = 0.5 * math.sin(2 * math.pi * phase)
        _bow(pen, (0.0 + 0.35 * reach, 0.0 + 0.75 * reach), 65, 0.85)

    return Drawing(draw, rate=rng.uniform(1.2, 2.0), travel=(0.03, 0.02), mirrored=rng.random() < 0.5)


def cello(rng: np.random.Generator) -> Drawing:
    """A seated player behind an upright cello, with slow wide strokes of the bow."""
    wood = pick(rng, ((150, 75, 40), (180, 95, 45), (115, 60, 40)))
    suit, hair = (
        pick(rng, ((45, 45, 55), (95, 35, 60), (35, 60, 95))),
        pick(rng, ((50, 36, 30), (160, 150, 145), (120, 75, 40))),
    )

    def draw(pen: Pen, phase: float) -> None:
        reach = 0.3 * math.sin(2 * math.pi * phase)
        pen.box(0, 0.15, 0.42, 0.5, suit, corner=0.2)
        pen.limb([(-0.3, 0.55), (-0.55, 0.6), (-0.55, 0.97)], suit, 0.18)
        pen.limb([(0.3, 0.55), (0.55, 0.6), (0.55, 0.97)], suit, 0.18)
        pen.disc(-0.12, -0.58, 0.2, 0.24, hair)
        pen.disc(-0.12, -0.53, 0.17, 0.2, SKIN[1])
        _fiddle(pen, wood, (0.05, 0.42), 0.62, -82)
        pen.limb([(0.36, -0.2), (0.52, -0.3), (0.14, -0.42)], suit, 0.13)
        hand = (-0.5 + reach, 0.5)
        pen.limb([(-0.36, -0.2), (-0.62, 0.1), hand], suit, 0.13)
        pen.disc(*hand, 0.08, 0.08, SKIN[1])
        _bow(pen, (hand[0] + 0.55, 0.42), -8, 0.6)

    return Drawing(draw, rate=rng.uniform(0.4, 0.7), travel=(0.02, 0.01), mirrored=rng.random() < 0.5)


def basketball(rng: np.random.Generator) -> Drawing:
    """A ball that falls, flattens on the floor and springs back to a hand."""
    ball, floor = (
        pick(rng, ((235, 120, 40), (215, 95, 35), (245, 145, 60))),
        pick(rng, ((200, 150, 95), (120, 130, 140))),
    )

    def draw(pen: Pen, phase: float) -> None:
        height = 1 - (2 * phase - 1) ** 2  # free fall: the floor is met at phase 0
        squash = 0.22 * max(0.0, 1 - 6 * height)
        y = 0.55 - 0.85 * height
        pen.disc(0, 0.88, 0.75, 0.1, floor)
        pen.disc(0, 0.88, 0.42 - 0.22 * height, 0.06, shade(floor, 0.5), edge=0)
        rx, ry = 0.34 * (1 + squash), 0.34 * (1 - squash)
        pen.disc(0, y + 0.34 * squash, rx, ry, ball)
        roll = 90 * phase
        seams: list[list[Point]] = [[(-1, 0), (1, 0)], [(0, -1), (0, 1)]]
        seams += [[(s * 0.72, -0.68), (s * 0.42, 0.0), (s * 0.72, 0.68)] for s in (-1, 1)]
        for seam in seams:
            pen.line([(rx * x, y + 0.34 * squash + ry * v) for x, v in spin(seam, roll)], INK, 0.03)
        palm = -0.62 - 0.1 * (1 - height)
        pen.limb([(0.9, -0.97), (0.5, palm - 0.14), (0.12, palm - 0.02)], SKIN[1], 0.15)
        for finger in range(4):
            pen.limb([(0.12, palm), (-0.24 + 0.06 * finger, palm + 0.02 + 0.05 * finger)], SKIN[1], 0.06)

    return Drawing(draw, rate=rng.uniform(1.7, 2.6), travel=(0.1, 0.0), travel_rate=0.4, mirrored=rng.random() < 0.5)


def frying(rng: np.random.Generator) -> Drawing:
    """A pan seen from above at a slant: food shakes, fat bubbles and steam rises."""
    egg = rng.random() < 0.5
    meat, bubbles = pick(rng, ((150, 75, 50), (200, 120, 70))), rng.uniform(-1, 1, (14, 2))

    def draw(pen: Pen, phase: float) -> None:
        shake = 0.03 * math.sin(4 * math.pi * phase)
        pen.limb([(0.55, 0.35), (0.98, 0.1)], (60, 45, 40), 0.13)
        pen.disc(-0.1, 0.48, 0.75, 0.45, (60, 62, 68))
        pen.disc(-0.1, 0.42, 0.64, 0.35, (95, 90, 80))
        for index, (a, b) in enumerate(bubbles):
            age = (2 * phase + index / len(bubbles)) % 1
            size = 0.02 + 0.05 * age
            pen.disc(-0.1 + 0.52 * a, 0.42 + 0.24 * b, size, size, (240, 220, 140), edge=0.015)
        if egg:
            pen.disc(-0.15 + shake, 0.42, 0.36, 0.2, (252, 250, 240))
            pen.disc(-0.1 + shake, 0.38, 0.14, 0.1, (250, 190, 40))
        else:
            for x, y in ((-0.35, 0.36), (0.08, 0.34), (-0.12, 0.54)):
                pen.disc(x + shake, y - abs(shake), 0.19, 0.11, meat)
        for plume in (-0.45, -0.1, 0.25):
            rise = [(plume + 0.08 * math.sin(2 * math.pi * (phase + s / 4)), 0.1 - 0.2 * s) for s in range(5)]
            pen.line(rise, (225, 228, 232), 0.06)

    return Drawing(draw, rate=rng.uniform(1.0, 1.6), travel=(0.04, 0.02), travel_rate=0.8, mirrored=rng.random() < 0.5)


def _fiddle(pen: Pen, wood: Colour, centre: Point, size: float, degrees: float) -> None:
    """A violin or cello body of half length ``size`` whose neck points along ``degrees``."""

    def turned(points: list[Point]) -> list[Point]:
        return spin([(centre[0] + size * x, centre[1] + size * y) for x, y in points], degrees, centre)

    pen.shape(turned([(0.5, -0.07), (1.45, -0.05), (1.45, 0.05), (0.5, 0.07)]), (45, 32, 30))
    pen.disc(*turned([(1.5, 0.0)])[0], 0.11 * size, 0.11 * size, shade(wood, 0.8))
    for x, r in ((-0.48, 0.45), (0.3, 0.36)):
        pen.disc(*turned([(x, 0.0)])[0], r * size, r * size, wood)
    pen.shape(turned([(-0.4, -0.3), (0.3, -0.26), (0.3, 0.26), (-0.4, 0.3)]), wood, edge=0)
    for side in (-1, 1):
        pen.line(turned([(-0.25, side * 0.16), (-0.05, side * 0.2), (0.08, side * 0.13)]), INK, 0.03)
    pen.shape(turned([(-0.85, -0.06), (-0.45, -0.06), (-0.45, 0.06), (-0.85, 0.06)]), (45, 32, 30))
    for y in (-0.04, 0.04):
        pen.line(turned([(-0.6, y), (1.4, y)]), (240, 235, 220), 0.02)


def _bow(pen: Pen, middle: Point, degrees: float, reach: float) -> None:
    stick = [(middle[0] - reach, middle[1] - 0.06), (middle[0], middle[1] - 0.1), (middle[0] + reach, middle[1] - 0.04)]
    hair = [(middle[0] - reach, middle[1]), (middle[0] + reach, middle[1])]
    pen.line(spin(hair, degrees, middle), (245, 240, 230), 0.05)
    pen.line(spin(stick, degrees, middle), (95, 50, 30), 0.045)
