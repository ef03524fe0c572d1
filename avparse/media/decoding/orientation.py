"""Small upright pictures: a decoded frame scaled, and turned or mirrored as its display matrix asks."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from avparse.foundation.arrays import UInt8Array
from avparse.media.decoding.views import PictureView

_EXACT_AREA = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT  # the same on every processor
_LONGEST = 16  # times the shorter side: how much of a long thin picture is scaled before its middle is cut out


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return (a, b, c, d), each -1, 0 or 1: a stored point (x, y) is shown at (a x + c y, b x + d y), y downwards."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(data, dtype=np.int32)[:5].tolist()
            if abs(b) > abs(a):
                return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
            return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 1, 0, 0, 1


def oriented(reformatter: VideoReformatter, frame: Any, view: PictureView) -> UInt8Array:
    """Return the frame as RGB ``[height, width, 3]`` of the view's size, as shown."""
    a, b, c, d = display_matrix(frame)
    shown = (frame.width, frame.height) if a else (frame.height, frame.width)
    scaled = _scaled(shown, view)
    width, height = scaled if a else scaled[::-1]
    small = reformatter.reformat(frame, width, height, "rgb24", interpolation=_EXACT_AREA, threads=1)
    picture: UInt8Array = np.asarray(small.to_ndarray(), dtype=np.uint8)
    if not a:
        picture = picture.transpose(1, 0, 2)
    picture = picture[:: d if a else b, :: a if a else c]
    left, top = (round((have - want) / 2) for have, want in zip(scaled, view.size, strict=True))
    return np.ascontiguousarray(picture[top : top + view.size[1], left : left + view.size[0]])


def _scaled(shown: tuple[int, int], view: PictureView) -> tuple[int, int]:
    """Return the (width, height) to which a picture of ``shown`` size is scaled before its middle is cut out."""
    if view.shorter_side is None:
        return view.size
    short = min(shown)
    width, height = (min(view.shorter_side * n // short, _LONGEST * view.shorter_side) for n in shown)
    return width, height
