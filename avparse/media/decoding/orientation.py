"""Small upright pictures: a decoded frame scaled, and turned or mirrored as its display matrix asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation, VideoReformatter

from avparse.foundation.arrays import UInt8Array
from avparse.media.decoding.views import PictureView

_EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT  # the same on every processor
_SCALING = {"area": Interpolation.AREA | _EXACT, "bilinear": Interpolation.BILINEAR | _EXACT}
_MOST_UNNAMED = 16  # kinds of side data without a name in one frame
_LONGEST = 16  # times the shorter side: how much of a long thin picture is scaled before its middle is cut out


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return (a, b, c, d), each -1, 0 or 1: a stored point (x, y) is shown at (a x + c y, b x + d y), y downwards."""
    for data in _side_data(frame):
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = np.frombuffer(data, dtype=np.int32)[:5].tolist()
            if abs(b) > abs(a):
                return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
            return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 1, 0, 0, 1


def _side_data(frame: Any) -> Iterator[Any]:
    """Yield the side data of a frame without those that PyAV cannot name, such as the EXIF block of a camera.

    PyAV names all side data of a frame or none, so a filter takes the nameless ones out first.
    """
    for _ in range(_MOST_UNNAMED):
        try:
            yield from frame.side_data
        except ValueError as error:
            number = re.match(r"\d+", str(error))
            if number is None:
                raise
            frame = _without(frame, number[0])
        else:
            return


def _without(frame: Any, kind: str) -> Any:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
    )
    taken_out, sink = graph.add("sidedata", f"mode=delete:type={kind}"), graph.add("buffersink")
    source.link_to(taken_out)
    taken_out.link_to(sink)
    graph.configure()
    graph.push(frame)
    return graph.pull()


def upright(reformatter: VideoReformatter, frame: Any, view: PictureView) -> UInt8Array:
    """Return the frame as RGB ``[height, width, 3]`` of the view's size, as shown."""
    a, b, c, d = display_matrix(frame)
    shown = (frame.width, frame.height) if a else (frame.height, frame.width)
    scaled = _scaled(shown, view)
    width, height = scaled if a else scaled[::-1]
    small = reformatter.reformat(frame, width, height, "rgb24", interpolation=_SCALING[view.scaling], threads=1)
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
