"""What faces have in common: colours, eyes and mouths."""

from __future__ import annotations

from avparse.media.synthesis.pen import INK, Colour, Pen

SKIN: tuple[Colour, ...] = ((245, 208, 178), (222, 172, 132), (168, 118, 82), (112, 76, 54))
HAIR: tuple[Colour, ...] = ((50, 36, 30), (110, 70, 35), (205, 165, 80), (160, 70, 35), (150, 150, 155))
MOUTH: Colour = (120, 25, 35)
TONGUE: Colour = (225, 110, 115)
WHITE: Colour = (250, 250, 250)


def eye(pen: Pen, x: float, y: float, size: float, shut: bool = False) -> None:
    """An eye looking ahead, or a shut lid; ``size`` is its half width."""
    if shut:
        pen.line([(x - size, y), (x + size, y)], INK, 0.03)
        return
    pen.disc(x, y, size, 0.9 * size, WHITE, edge=0.02)
    pen.disc(x + 0.2 * size, y, 0.5 * size, 0.55 * size, INK, edge=0)


def mouth(pen: Pen, x: float, y: float, rx: float, ry: float) -> None:
    """A mouth of half width ``rx``, open by ``ry``."""
    pen.disc(x, y, rx, ry, MOUTH)
    if ry > 0.08:
        pen.disc(x, y + 0.5 * ry, 0.6 * rx, 0.4 * ry, TONGUE, edge=0)
