"""Drawings of animals, each moving as it does when it calls."""

from __future__ import annotations

import math

import numpy as np

from avparse.media.synthesis.faces import MOUTH, TONGUE, WHITE, eye, mouth
from avparse.media.synthesis.pen import INK, Colour, Drawing, Pen, pick, shade, spin, wave


def dog(rng: np.random.Generator) -> Drawing:
    """A sitting dog whose jaw snaps open with each bark while the tail wags."""
    coat = pick(rng, ((185, 130, 75), (120, 80, 50), (235, 225, 205), (70, 65, 65), (215, 165, 100)))
    ear = shade(coat, 0.65)
    pointed, spotted = rng.random() < 0.4, rng.random() < 0.4

    def draw(pen: Pen, phase: float) -> None:
        bark = max(0.0, math.sin(4 * math.pi * phase))
        wag = 25 * math.sin(8 * math.pi * phase)
        pen.limb(spin([(-0.55, 0.7), (-0.8, 0.45), (-0.85, 0.2)], wag, (-0.55, 0.7)), coat, 0.1)
        pen.disc(-0.3, 0.6, 0.4, 0.38, coat)
        pen.shape([(-0.5, 0.4), (-0.1, -0.2), (0.25, 0.0), (0.22, 0.9), (-0.15, 0.9)], coat)
        for x in (0.02, 0.17):
            pen.limb([(x, 0.3), (x + 0.02, 0.9)], coat, 0.12)
        pen.disc(-0.25, 0.9, 0.24, 0.08, coat)
        if spotted:
            pen.disc(-0.35, 0.5, 0.14, 0.12, ear, edge=0)
        pivot = (0.1, -0.35)
        jaw = spin([(0.18, -0.2), (0.72, -0.2), (0.7, -0.08), (0.2, -0.05)], 32 * bark, (0.2, -0.2))
        lift = -14 * bark
        if bark > 0.1:
            pen.shape(spin([(0.2, -0.22), (0.65, -0.22), jaw[1], jaw[0]], 0), MOUTH, edge=0)
            pen.limb([(0.32, -0.14), jaw[1]], TONGUE, 0.06)
        pen.shape(jaw, coat)
        snout = spin([(0.1, -0.55), (0.42, -0.48), (0.82, -0.36), (0.8, -0.2), (0.2, -0.18)], lift, pivot)
        pen.shape(snout, shade(coat, 1.1))
        pen.disc(*pivot, 0.3, 0.3, coat)
        nose = spin([(0.81, -0.36)], lift, pivot)[0]
        pen.disc(*nose, 0.07, 0.06, INK, edge=0)
        socket = spin([(0.22, -0.44)], lift, pivot)[0]
        eye(pen, *socket, 0.06)
        lobe = (
            [(-0.1, -0.55), (0.02, -0.95), (0.15, -0.6)]
            if pointed
            else [(0.0, -0.62), (-0.2, -0.5), (-0.28, -0.1), (-0.08, -0.12), (0.06, -0.45)]
        )
        pen.shape(spin(lobe, lift - 10 * bark, pivot), ear)

    return Drawing(
        draw, rate=rng.uniform(1.0, 1.4), travel=(0.03, 0.03), travel_rate=1.0, mirrored=rng.random() < 0.5, poses=16
    )


def cat(rng: np.random.Generator) -> Drawing:
    """A cat's face with whiskers that opens its mouth in a long meow; ears twitch, the tail curls behind."""
    coat = pick(rng, ((150, 150, 155), (230, 150, 70), (60, 58, 62), (235, 225, 210)))
    iris = pick(rng, ((110, 190, 80), (235, 190, 50), (100, 170, 220)))
    striped = rng.random() < 0.6

    def draw(pen: Pen, phase: float) -> None:
        opening = wave(phase) ** 2
        sweep = 0.2 * math.sin(2 * math.pi * phase)
        pen.limb([(0.5, 0.9), (0.85, 0.6), (0.72 + sweep, 0.1), (0.88 + sweep, -0.15)], coat, 0.13)
        pen.disc(0.0, 0.95, 0.6, 0.45, coat)
        for side in (-1, 1):
            twitch = 0.04 * side * math.sin(4 * math.pi * phase)
            pen.shape([(side * 0.58, -0.15), (side * 0.55 + twitch, -0.92), (side * 0.12, -0.52)], coat)
            pen.shape(
                [(side * 0.5, -0.35), (side * 0.49 + twitch, -0.72), (side * 0.25, -0.5)], (235, 165, 165), edge=0
            )
        pen.disc(0, -0.05, 0.62, 0.56, coat)
        if striped:
            for x in (-0.15, 0.0, 0.15):
                pen.line([(x, -0.58), (x * 0.8, -0.36)], shade(coat, 0.5), 0.06)
        for side in (-1, 1):
            pen.disc(side * 0.27, -0.14, 0.14, 0.13 - 0.07 * opening, iris)
            pen.disc(side * 0.27, -0.14, 0.035, 0.11 - 0.06 * opening, INK, edge=0)
            for tilt in (-0.1, 0.0, 0.1):
                pen.line([(side * 0.22, 0.16), (side * 0.85, 0.12 + tilt + 0.05 * opening)], WHITE, 0.025)
        mouth(pen, 0, 0.26 + 0.06 * opening, 0.08 + 0.09 * opening, 0.03 + 0.18 * opening)
        pen.shape([(-0.08, 0.06), (0.08, 0.06), (0, 0.15)], (230, 130, 140))

    return Drawing(draw, rate=rng.uniform(0.8, 1.1), travel=(0.03, 0.02), mirrored=rng.random() < 0.5)


def rooster(rng: np.random.Generator) -> Drawing:
    """A rooster with comb and tail that stretches its neck, opens its beak and flaps."""
    body = pick(rng, ((150, 75, 40), (235, 230, 220), (90, 50, 40)))
    neck = pick(rng, ((225, 140, 45), (240, 200, 110)))
    tail = pick(rng, ((30, 85, 70), (45, 55, 100), (40, 40, 45)))
    red: Colour = (215, 40, 40)

    def draw(pen: Pen, phase: float) -> None:
        crow = wave(phase) ** 1.5
        head = (0.32 + 0.1 * crow, -0.42 - 0.25 * crow)
        for feather in range(4):
            tip = (-0.92 + 0.1 * feather, 0.1 - 0.28 * feather)
            pen.limb(
                [(-0.35, 0.2), (-0.75 + 0.12 * feather, -0.1 - 0.2 * feather), tip],
                shade(tail, 1 + 0.2 * feather),
                0.11,
            )
        for x in (-0.08, 0.12):
            pen.line([(x, 0.6), (x + 0.02, 0.93), (x + 0.16, 0.95)], (225, 170, 40), 0.06)
        pen.disc(0, 0.3, 0.5, 0.38, body)
        pen.shape([(0.05, 0.1), (head[0] - 0.15, head[1]), (head[0] + 0.13, head[1] + 0.05), (0.5, 0.3)], neck)
        wing = spin([(-0.3, 0.2), (0.2, 0.2), (0.05, 0.5), (-0.45, 0.45)], 35 * crow, (0.2, 0.2))
        pen.shape(wing, shade(body, 0.7))
        for x, y, r in ((-0.12, -0.15, 0.08), (0.0, -0.2, 0.09), (0.11, -0.15, 0.08)):
            pen.disc(head[0] + x, head[1] + y, r, r * 1.2, red)
        pen.disc(*head, 0.19, 0.18, neck)
        pen.disc(head[0] + 0.13, head[1] + 0.22, 0.06, 0.11, red)
        upper = [(head[0] + 0.15, head[1] - 0.08), (head[0] + 0.45, head[1] - 0.03), (head[0] + 0.15, head[1] + 0.04)]
        lower = [(head[0] + 0.14, head[1] + 0.02), (head[0] + 0.4, head[1] + 0.04), (head[0] + 0.13, head[1] + 0.11)]
        pen.shape(spin(lower, 35 * crow, lower[0]), (230, 170, 40))
        pen.shape(spin(upper, -25 * crow, upper[0]), (245, 190, 50))
        eye(pen, head[0] + 0.05, head[1] - 0.05, 0.05)

    return Drawing(draw, rate=rng.uniform(0.5, 0.65), travel=(0.05, 0.02), mirrored=rng.random() < 0.5)
