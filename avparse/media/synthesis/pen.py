"""Drawing in unit coordinates: a pen on a supersampled canvas, and drawings whose poses repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (35, 30, 35)
_SUPERSAMPLE = 2


class Pen:
    """Draws on a square canvas; x grows rightwards and y downwards, both from -1 to 1."""

    def __init__(self, size: int) -> None:
        self._half = size * _SUPERSAMPLE / 2
        self._image = Image.new("RGBA", (size * _SUPERSAMPLE, size * _SUPERSAMPLE), (*INK, 0))
        self._draw = ImageDraw.Draw(self._image)

    def image(self, mirrored: bool = False) -> Image.Image:
        """Return the picture at its final size, with smooth edges; RGBA."""
        small = self._image.reduce(_SUPERSAMPLE)
        return small.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else small

    def disc(self, x: float, y: float, rx: float, ry: float, fill: Colour | None, edge: float = 0.03) -> None:
        """An ellipse of half axes ``rx`` and ``ry`` with an inked edge (0: none)."""
        width = self._width(edge) if edge else 0
        self._draw.ellipse(self._box(x, y, rx, ry), fill=fill, outline=INK if edge else None, width=width)

    def box(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, corner: float = 0.05, edge: float = 0.03
    ) -> None:
        """A rectangle of half sides ``rx`` and ``ry`` with rounded corners."""
        bounds = self._box(x, y, rx, ry)
        outline, width = (INK, self._width(edge)) if edge else (None, 0)
        self._draw.rounded_rectangle(bounds, radius=corner * self._half, fill=fill, outline=outline, width=width)

    def shape(self, points: Sequence[Point], fill: Colour, edge: float = 0.03) -> None:
        """A polygon."""
        scaled = [self._at(p) for p in points]
        self._draw.polygon(scaled, fill=fill)
        if edge:
            self._draw.line([*scaled, scaled[0]], fill=INK, width=self._width(edge), joint="curve")

    def line(self, points: Sequence[Point], colour: Colour = INK, width: float = 0.04) -> None:
        """A broken line with joined corners."""
        self._draw.line([self._at(p) for p in points], fill=colour, width=self._width(width), joint="curve")

    def limb(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A thick broken line with an inked edge and round ends."""
        for fill, thick in ((INK, width + 0.05), (colour, width)):
            self.line(points, fill, thick)
            for x, y in points:
                self.disc(x, y, thick / 2, thick / 2, fill, edge=0)

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, width: float = 0.04) -> None:
        """Part of an ellipse's edge, from ``start`` to ``end`` degrees clockwise from the right."""
        self._draw.arc(self._box(x, y, rx, ry), start, end, fill=INK, width=self._width(width))

    def _at(self, point: Point) -> Point:
        return (1 + point[0]) * self._half, (1 + point[1]) * self._half

    def _box(self, x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        return (*self._at((x - abs(rx), y - abs(ry))), *self._at((x + abs(rx), y + abs(ry))))

    def _width(self, width: float) -> int:
        return max(1, round(width * self._half))


@dataclass(frozen=True)
class Drawing:
    """One variant of an object: how it looks at each phase of its motion, and how it travels.

    Attributes:
        draw: draws the pose at a phase in 0..1 of the cycle.
        rate: cycles a second.
        travel: distance that it moves from its place, in sizes (x, y); a sine of ``travel_rate``.
        travel_rate: frequency of the movement in Hz.
        mirrored: whether it looks the other way.
        poses: drawn in one cycle.
    """

    draw: Callable[[Pen, float], None]
    rate: float
    travel: Point = (0.03, 0.02)
    travel_rate: float = 0.3
    mirrored: bool = False
    poses: int = 12

    def sprites(self, size: int) -> list[Image.Image]:
        """Draw the poses of one cycle as RGBA squares of ``size`` pixels."""
        images = []
        for pose in range(self.poses):
            pen = Pen(size)
            self.draw(pen, pose / self.poses)
            images.append(pen.image(self.mirrored))
        return images

    def pose(self, time_s: float) -> int:
        """Return which sprite shows at ``time_s``."""
        return int(time_s * self.rate * self.poses) % self.poses

    def shift(self, time_s: float) -> Point:
        """Return the displacement at ``time_s``, in sizes."""
        angle = 2 * math.pi * self.travel_rate * time_s
        return self.travel[0] * math.sin(angle), self.travel[1] * math.sin(1.7 * angle)


def wave(phase: float, turns: int = 1) -> float:
    """Return a sine of ``phase`` in 0..1 scaled to 0..1, starting at 0."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * turns * phase)


def spin(points: Sequence[Point], degrees: float, centre: Point = (0.0, 0.0)) -> list[Point]:
    """Rotate ``points`` clockwise about ``centre``."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cx, cy = centre
    return [(cx + c * (x - cx) - s * (y - cy), cy + s * (x - cx) + c * (y - cy)) for x, y in points]


def pick(rng: np.random.Generator, colours: Sequence[Colour], spread: int = 14) -> Colour:
    """Return one of ``colours``, slightly varied."""
    base = np.array(colours[int(rng.integers(len(colours)))])
    red, green, blue = np.clip(base + rng.integers(-spread, spread + 1, 3), 0, 255).tolist()
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` darkened (< 1) or lightened (> 1)."""
    red, green, blue = (min(255, int(part * factor)) for part in colour)
    return red, green, blue
