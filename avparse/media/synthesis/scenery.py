"""What surrounds the events: textured backdrops that a camera pans over, stray shapes, and background noise."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from avparse.foundation.arrays import Float32Array
from avparse.media.synthesis.pen import Colour, Drawing, Pen, pick, spin
from avparse.media.synthesis.waves import shaped_noise, tone, wander

_UPPER: tuple[Colour, ...] = (
    (150, 195, 225),
    (205, 195, 180),
    (120, 130, 150),
    (185, 205, 180),
    (95, 90, 110),
    (225, 215, 190),
)
_LOWER: tuple[Colour, ...] = (
    (110, 145, 85),
    (140, 115, 90),
    (125, 125, 125),
    (175, 160, 130),
    (80, 95, 105),
    (165, 120, 95),
)
_STRAY: tuple[Colour, ...] = (
    (190, 90, 90),
    (90, 130, 180),
    (110, 160, 110),
    (200, 180, 100),
    (140, 110, 160),
    (130, 130, 130),
)
_MARGIN = 16


class Backdrop:
    """A wall or sky above a floor or ground, both textured; a slow pan; a few shapes drifting across.

    Args:
        rng: draws colours, texture, horizon, pan and shapes.
        width: width in pixels.
        height: height in pixels.
    """

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self._size = width, height
        self._canvas = _textured(rng, width + 2 * _MARGIN, height + 2 * _MARGIN)
        self._pan = rng.uniform(0.03, 0.15, 2), rng.uniform(0, 2 * math.pi, 2)
        self._strays = [
            (_stray(rng), rng.uniform(0, 1, 2), rng.uniform(-0.12, 0.12, 2)) for _ in range(rng.integers(1, 5))
        ]
        self._sprites = [drawing.sprites(int(rng.uniform(0.1, 0.28) * height)) for drawing, _, _ in self._strays]

    def frame(self, time_s: float) -> Image.Image:
        """Return the RGB picture at ``time_s``, without any event's object."""
        width, height = self._size
        rates, starts = self._pan
        left, top = (
            int(_MARGIN * (1 + math.sin(2 * math.pi * r * time_s + s))) for r, s in zip(rates, starts, strict=True)
        )
        image = self._canvas.crop((left, top, left + width, top + height))
        for (drawing, start, speed), sprites in zip(self._strays, self._sprites, strict=True):
            sprite = sprites[drawing.pose(time_s)]
            x, y = (start + speed * time_s) % 1.0
            span_x, span_y = width + sprite.width, height + sprite.height
            image.paste(sprite, (int(x * span_x) - sprite.width, int(y * span_y) - sprite.height), sprite)
        return image


def ambience(rng: np.random.Generator, samples: int, sample_rate: int) -> Float32Array:
    """Return noise ``[samples]`` of unit power: coloured, swelling like wind or traffic, humming in some rooms."""
    slope = rng.uniform(0.2, 1.0)
    sound = shaped_noise(rng, samples, sample_rate, lambda f: (np.maximum(f, 40.0) / 40.0) ** -slope)
    sound = sound * wander(rng, samples, sample_rate, rng.uniform(0.2, 1.0), rng.uniform(0.3, 0.9), 1.0)
    sound = sound / np.sqrt(np.mean(sound**2))
    if rng.random() < 0.3:
        hum = float(rng.choice([100.0, 120.0]))
        sound = sound + 0.4 * tone(hum, samples, sample_rate) + 0.2 * tone(2 * hum, samples, sample_rate)
    return np.asarray(sound / np.sqrt(np.mean(sound**2)), dtype=np.float32)


def _textured(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    horizon = int(rng.uniform(0.45, 0.8) * height)
    canvas = Image.new("RGB", (width, height), pick(rng, _UPPER))
    canvas.paste(pick(rng, _LOWER), (0, horizon, width, height))
    texture = np.zeros((height, width))
    for cells, strength in ((4, 22.0), (12, 14.0), (40, 8.0)):
        coarse = rng.standard_normal((cells, cells * 4 // 3)).astype(np.float32)
        texture += strength * np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    pixels = np.asarray(canvas, dtype=np.float64) + texture[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _stray(rng: np.random.Generator) -> Drawing:
    """A turning shape that belongs to no class."""
    colour, corners = pick(rng, _STRAY), int(rng.choice([3, 4, 5, 24]))

    def draw(pen: Pen, phase: float) -> None:
        points = [spin([(0.8, 0.0)], 360 * (corner + phase) / corners)[0] for corner in range(corners)]
        pen.shape(points, colour, edge=0)

    return Drawing(draw, rate=rng.uniform(0.1, 0.6))
