"""Small upright pictures: a decoded frame scaled, and turned or mirrored as its display matrix asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

Picture = npt.NDArray[np.uint8]

_EXACT_AREA = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT  # the same on every processor


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return (a, b, c, d), each -1, 0 or 1: a stored point (x, y) is shown at (a x + c y, b x + d y), y downwards."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(data, dtype=np.int32)[:5].tolist()
            if abs(b) > abs(a):
                return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
            return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 1, 0, 0, 1


def upright(reformatter: VideoReformatter, frame: Any, size: tuple[int, int]) -> Picture:
    """Return the frame as RGB ``[height, width, 3]`` for ``size`` = (width, height) as shown."""
    a, b, c, d = display_matrix(frame)
    width, height = size if a else size[::-1]
    small = reformatter.reformat(frame, width, height, "rgb24", interpolation=_EXACT_AREA, threads=1)
    picture: Picture = np.asarray(small.to_ndarray(), dtype=np.uint8)
    if not a:
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: d if a else b, :: a if a else c])
