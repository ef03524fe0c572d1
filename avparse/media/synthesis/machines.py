"""Drawings of machines, each moving as it does when it runs or rings."""

from __future__ import annotations

import math

import numpy as np

from avparse.media.synthesis.pen import INK, Colour, Drawing, Pen, pick, shade, spin, wave

_PAINT: tuple[Colour, ...] = (
    (200, 45, 45),
    (45, 90, 180),
    (235, 195, 55),
    (60, 150, 90),
    (230, 230, 235),
    (80, 85, 95),
)
_STEEL: Colour = (165, 172, 180)
_TYRE: Colour = (45, 45, 50)
_GLASS: Colour = (170, 215, 235)
_FLASH: Colour = (255, 240, 130)


def car(rng: np.random.Generator) -> Drawing:
    """A car from the side that drives to and fro; wheels turn, the road's marks run past."""
    paint, tall = pick(rng, _PAINT), rng.uniform(0.3, 0.5)

    def draw(pen: Pen, phase: float) -> None:
        bob = 0.015 * math.sin(4 * math.pi * phase)
        pen.box(0, 0.7, 0.99, 0.12, (85, 85, 90), edge=0)
        for mark in range(4):
            x = 1 - 2 * ((phase + mark / 4) % 1)
            pen.box(x, 0.72, 0.12, 0.025, (240, 240, 235), edge=0)
        roof = 0.08 - tall + bob
        pen.shape([(-0.6, 0.1 + bob), (-0.4, roof), (0.25, roof), (0.52, 0.1 + bob)], paint)
        pen.shape([(-0.48, 0.08 + bob), (-0.34, roof + 0.07), (-0.08, roof + 0.07), (-0.08, 0.08 + bob)], _GLASS)
        pen.shape([(0.0, 0.08 + bob), (0.0, roof + 0.07), (0.22, roof + 0.07), (0.4, 0.08 + bob)], _GLASS)
        pen.box(0, 0.25 + bob, 0.93, 0.19, paint, corner=0.12)
        pen.disc(0.86, 0.2 + bob, 0.06, 0.06, _FLASH)
        pen.box(-0.88, 0.2 + bob, 0.04, 0.06, (220, 50, 40))
        pen.line([(-0.04, 0.1 + bob), (-0.04, 0.4 + bob)], shade(paint, 0.6), 0.025)
        for x in (-0.52, 0.52):
            _wheel(pen, x, 0.48, 0.21, 120 * phase)

    travel = (rng.uniform(0.25, 0.45), 0.0)
    return Drawing(
        draw, rate=rng.uniform(1.5, 2.5), travel=travel, travel_rate=rng.uniform(0.2, 0.4), mirrored=rng.random() < 0.5
    )


def motorcycle(rng: np.random.Generator) -> Drawing:
    """A rider on a motorcycle that shakes, with turning wheels and puffs of smoke."""
    paint, suit = pick(rng, _PAINT), pick(rng, ((50, 50, 60), (120, 60, 35), (60, 70, 110)))

    def draw(pen: Pen, phase: float) -> None:
        bob = 0.025 * math.sin(6 * math.pi * phase)
        for puff in range(3):
            age = (phase + puff / 3) % 1
            pen.disc(-0.7 - 0.22 * age, 0.6 - 0.25 * age, 0.05 + 0.08 * age, 0.05 + 0.08 * age, (190, 190, 195), edge=0)
        for x in (-0.55, 0.6):
            _wheel(pen, x, 0.6, 0.31, 72 * phase, spokes=5)
        pen.line([(0.6, 0.6), (0.36, -0.1 + bob)], _STEEL, 0.09)
        pen.line([(-0.55, 0.6), (0.0, 0.5 + bob)], _STEEL, 0.09)
        pen.disc(0.0, 0.48 + bob, 0.2, 0.17, (110, 110, 118))
        pen.limb([(0.02, 0.62 + bob), (-0.6, 0.66 + bob)], _STEEL, 0.08)
        pen.shape([(-0.2, 0.15 + bob), (0.35, 0.02 + bob), (0.4, 0.22 + bob), (-0.1, 0.36 + bob)], paint)
        pen.shape([(-0.75, 0.16 + bob), (-0.15, 0.18 + bob), (-0.12, 0.32 + bob), (-0.6, 0.3 + bob)], INK)
        pen.limb([(-0.3, 0.12 + bob), (0.08, 0.25 + bob), (0.0, 0.58 + bob)], suit, 0.15)
        pen.shape([(-0.42, 0.16 + bob), (-0.12, -0.5 + bob), (0.1, -0.4 + bob), (-0.12, 0.2 + bob)], suit)
        pen.limb([(0.0, -0.34 + bob), (0.2, -0.1 + bob), (0.4, -0.14 + bob)], suit, 0.11)
        pen.disc(0.02, -0.68 + bob, 0.21, 0.22, paint)
        pen.shape([(0.06, -0.76 + bob), (0.24, -0.74 + bob), (0.24, -0.6 + bob), (0.08, -0.58 + bob)], _GLASS)
        pen.disc(0.48, 0.0 + bob, 0.08, 0.08, _FLASH)

    return Drawing(
        draw,
        rate=rng.uniform(2.0, 3.0),
        travel=(rng.uniform(0.1, 0.25), 0.01),
        travel_rate=rng.uniform(0.2, 0.5),
        mirrored=rng.random() < 0.5,
    )


def helicopter(rng: np.random.Generator) -> Drawing:
    """A helicopter that hovers; the main rotor sweeps, the tail rotor whirls."""
    paint = pick(rng, ((215, 55, 45), (70, 95, 65), (50, 95, 170), (240, 190, 50)))

    def draw(pen: Pen, phase: float) -> None:
        reach = 0.95 * math.cos(2 * math.pi * phase)
        pen.shape([(-0.2, -0.05), (-0.85, -0.12), (-0.9, -0.02), (-0.2, 0.2)], paint)
        pen.shape([(-0.95, -0.32), (-0.82, -0.32), (-0.78, -0.05), (-0.92, -0.05)], shade(paint, 0.7))
        pen.disc(0.2, 0.1, 0.5, 0.34, paint)
        pen.shape([(0.3, -0.17), (0.52, -0.1), (0.68, 0.1), (0.32, 0.12)], _GLASS)
        pen.line([(0.0, 0.4), (-0.08, 0.6)], INK, 0.05)
        pen.line([(0.4, 0.4), (0.45, 0.6)], INK, 0.05)
        pen.line([(-0.35, 0.6), (0.7, 0.6), (0.8, 0.52)], INK, 0.06)
        pen.line([(0.15, -0.25), (0.15, -0.45)], INK, 0.07)
        pen.shape(
            [(0.15 - reach, -0.49), (0.15 + reach, -0.45), (0.15 + reach, -0.41), (0.15 - reach, -0.45)], (60, 60, 68)
        )
        pen.disc(0.15, -0.45, 0.09, 0.05, (60, 60, 68))
        for arm in (0, 90):
            pen.line(
                spin([(-0.87 - 0.22, -0.2), (-0.87 + 0.22, -0.2)], arm + 180 * phase * 3, (-0.87, -0.2)),
                (60, 60, 68),
                0.05,
            )

    return Drawing(
        draw,
        rate=rng.uniform(2.2, 3.2),
        travel=(0.15, 0.12),
        travel_rate=rng.uniform(0.15, 0.3),
        mirrored=rng.random() < 0.5,
    )


def chainsaw(rng: np.random.Generator) -> Drawing:
    """A chainsaw that bites into a log: teeth run along the bar, chips fly."""
    paint = pick(rng, ((240, 120, 30), (225, 60, 40), (70, 150, 70), (245, 200, 50)))
    wood = pick(rng, ((165, 115, 70), (135, 90, 55)))
    chips = rng.uniform(-1, 1, (10, 2))

    def draw(pen: Pen, phase: float) -> None:
        bite = 0.14 * wave(phase)
        shake = 0.03 * math.sin(8 * math.pi * phase)
        pen.disc(0.45, 0.62, 0.34, 0.34, wood)
        for ring in (0.24, 0.14, 0.06):
            pen.disc(0.45, 0.62, ring, ring, shade(wood, 1.3), edge=0.02)
        y = 0.1 + bite + shake
        pen.box(0.42, y, 0.55, 0.1, _STEEL, corner=0.1)
        for tooth in range(9):
            x = -0.05 + 1.0 * ((tooth / 9 + 2 * phase) % 1)
            for edge in (-0.1, 0.1):
                pen.shape([(x, y + edge), (x + 0.05, y + 1.6 * edge), (x + 0.06, y + edge)], INK, edge=0)
        pen.box(-0.5, y, 0.4, 0.25, paint, corner=0.1)
        pen.box(-0.5, y + 0.1, 0.25, 0.06, shade(paint, 0.6), edge=0)
        pen.line([(-0.85, y - 0.2), (-0.88, y - 0.48), (-0.5, y - 0.48), (-0.3, y - 0.25)], (50, 50, 55), 0.09)
        pen.line([(-0.12, y + 0.2), (-0.05, y - 0.42), (-0.25, y - 0.42)], (50, 50, 55), 0.07)
        for index, (a, b) in enumerate(chips):
            fly = (phase + index / len(chips)) % 1
            pen.box(0.4 + a * 0.55 * fly, 0.35 + 0.6 * b * fly * fly - 0.25 * fly, 0.04, 0.03, (235, 205, 140), edge=0)

    return Drawing(draw, rate=rng.uniform(1.3, 2.0), travel=(0.03, 0.02), travel_rate=1.3, mirrored=rng.random() < 0.5)


def fire_alarm(rng: np.random.Generator) -> Drawing:
    """A red wall alarm with a strobe that flashes and rings of sound."""
    red = pick(rng, ((205, 30, 30), (225, 55, 40)))
    round_body = rng.random() < 0.5

    def draw(pen: Pen, phase: float) -> None:
        lit = phase < 0.5
        if lit:
            for angle in range(0, 360, 30):
                pen.line([(x, y - 0.45) for x, y in spin([(0.32, 0), (0.52, 0)], angle)], _FLASH, 0.06)
        if round_body:
            pen.disc(0, 0.25, 0.62, 0.62, red)
        else:
            pen.box(0, 0.25, 0.55, 0.65, red, corner=0.1)
        pen.box(0, -0.45, 0.26, 0.16, (255, 255, 225) if lit else (150, 60, 55), corner=0.08)
        buzz = 0.03 if lit else 0.0
        for ring in (0.36, 0.25, 0.14):
            pen.disc(buzz, 0.2, ring, ring, shade(red, 0.75 if ring > 0.3 else 1.15), edge=0.035)
        pen.box(0, 0.72, 0.38, 0.09, (245, 240, 235), edge=0.02)
        for x in (-0.24, -0.12, 0.0, 0.12, 0.24):
            pen.line([(x, 0.67), (x, 0.77)], red, 0.04)
        if lit:
            for side in (-1, 1):
                for reach in (0.72, 0.88):
                    pen.arc(0, 0.25, reach, reach, -25 if side > 0 else 155, 25 if side > 0 else 205, 0.05)

    return Drawing(draw, rate=rng.uniform(1.5, 2.5), travel=(0.01, 0.0), poses=8)


def telephone(rng: np.random.Generator) -> Drawing:
    """An old desk telephone whose handset jumps on the cradle while it rings."""
    paint = pick(rng, ((40, 42, 48), (185, 35, 40), (60, 120, 110), (235, 220, 185), (70, 95, 160)))

    def draw(pen: Pen, phase: float) -> None:
        ringing = phase < 0.7
        jolt = math.sin(math.pi * (8 * phase + 0.25)) if ringing else 0.0
        pen.shape([(-0.42, -0.12), (0.42, -0.12), (0.78, 0.82), (-0.78, 0.82)], paint)
        pen.disc(0, 0.36, 0.34, 0.33, (235, 232, 225))
        for hole in range(10):
            x, y = spin([(0.24, 0)], 30 * hole + 30)[0]
            pen.disc(x, 0.36 + y, 0.05, 0.05, shade(paint, 0.6), edge=0)
        pen.disc(0, 0.36, 0.11, 0.11, shade(paint, 1.2))
        for x in (-0.28, 0.28):
            pen.line([(x, -0.1), (x, -0.3)], INK, 0.08)
        lift, tilt = -0.08 * abs(jolt), 7 * jolt
        pivot = (0.0, -0.4)
        bar = [(x, y + lift) for x, y in ((-0.7, -0.42), (-0.4, -0.58), (0.4, -0.58), (0.7, -0.42))]
        pen.limb(spin(bar, tilt, pivot), paint, 0.2)
        for side in (-1, 1):
            ear = [
                (side * 0.56, -0.4 + lift),
                (side * 0.88, -0.4 + lift),
                (side * 0.92, -0.18 + lift),
                (side * 0.52, -0.18 + lift),
            ]
            pen.shape(spin(ear, tilt, pivot), paint)
            if ringing:
                for reach in (0.14, 0.26):
                    pen.arc(side * 0.62, -0.75, reach, reach, -80 if side > 0 else 180, 0 if side > 0 else 260, 0.045)

    return Drawing(draw, rate=rng.uniform(0.8, 1.1), travel=(0.01, 0.01), travel_rate=4.0, poses=16)


def _wheel(pen: Pen, x: float, y: float, radius: float, degrees: float, spokes: int = 3) -> None:
    pen.disc(x, y, radius, radius, _TYRE)
    pen.disc(x, y, 0.65 * radius, 0.65 * radius, _STEEL, edge=0.02)
    for spoke in range(spokes):
        angle = degrees + 360 * spoke / spokes
        pen.line([(x, y), *((x + a, y + b) for a, b in spin([(0.62 * radius, 0.0)], angle))], INK, 0.04)
