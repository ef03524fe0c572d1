"""What the light extractor sees in one segment: colours and edges on a grid, and how they move."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from avparse.media.mel import Floats

GRID = 4
_LEVELS = 4  # of each colour in the histogram
_ANGLES = 8
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_STILL = np.float32(5e-5)  # regularises the flow of cells without texture
_FASTEST = 6.0  # pixels a frame; a larger flow is not one

Frames = npt.NDArray[np.uint8]


def appearance_features(frames: Frames) -> Floats:
    """Return colour and edge features ``[D]`` of one segment's frames ``[F, H, W, 3]``."""
    colours = frames.astype(np.float32) / 255
    mean = _cells(colours).mean(axis=0)
    deviation = np.sqrt(np.maximum(0.0, _cells(np.square(colours)).mean(axis=0) - np.square(mean)))
    codes = (frames // (256 // _LEVELS)).astype(np.int64) @ np.array([_LEVELS**2, _LEVELS, 1])
    histogram = np.bincount(codes.ravel(), minlength=_LEVELS**3) / codes.size
    edges = _edges(colours @ _LUMA)
    return np.concatenate([mean.ravel(), deviation.ravel(), np.sqrt(histogram), edges]).astype(np.float32)


def motion_features(frames: Frames) -> Floats:
    """Return motion features ``[D]`` of one segment's frames ``[F, H, W, 3]``, F at least 2.

    Change of brightness, its course over time, and a least-squares flow (Lucas and Kanade, 1981), cell by cell.
    """
    grey = frames.astype(np.float32) @ _LUMA / 255
    change = np.diff(grey, axis=0)
    size, signed = _cells(np.abs(change)), _cells(change)  # [F-1, cells]
    amounts = [size.mean(axis=0), size.std(axis=0), size.max(axis=0), signed.mean(axis=0), np.abs(signed).mean(axis=0)]
    course = [np.abs(np.fft.rfft(x - x.mean()))[1:] / len(x) for x in (size.mean(axis=1), grey.mean(axis=(1, 2)))]
    return np.concatenate([*(10 * x for x in amounts), *(10 * x for x in course), _flow(grey, change)]).astype(
        np.float32
    )


def _cells(values: Floats) -> Floats:
    """Return the means ``[F, cells, ...]`` of ``[F, H, W, ...]`` over the cells of the grid."""
    count, height, width = values.shape[:3]
    split = values.reshape(count, GRID, height // GRID, GRID, width // GRID, *values.shape[3:])
    cells: Floats = split.mean(axis=4).mean(axis=2).reshape(count, GRID * GRID, *values.shape[3:])
    return cells


def _edges(grey: Floats) -> Floats:
    """Return how much edge of each orientation ``[F, H, W]`` has in each cell, and the shares over all cells."""
    down, across = (np.gradient(grey, axis=axis) for axis in (1, 2))
    strength = np.hypot(down, across)
    angle = np.floor(np.arctan2(down, across) * (_ANGLES / np.pi)).astype(np.int64) % _ANGLES
    rows, columns = (np.arange(n) * GRID // n for n in grey.shape[1:])
    place = (rows[:, None] * GRID + columns) * _ANGLES + angle
    sums = np.bincount(place.ravel(), strength.ravel(), minlength=GRID * GRID * _ANGLES).reshape(-1, _ANGLES)
    whole = sums.sum(axis=0)
    return np.concatenate([np.sqrt(sums * (GRID * GRID / grey.size)).ravel(), whole / (whole.sum() + 1e-6)])


def _flow(grey: Floats, change: Floats) -> Floats:
    """Return statistics of the flow of each cell (pixels a frame), of what it leaves unexplained, and of directions."""
    middle = (grey[1:] + grey[:-1]) / 2
    down, across = (np.gradient(middle, axis=axis) for axis in (1, 2))
    products = [across * across, across * down, down * down, across * change, down * change, change * change]
    xx, xy, yy, xt, yt, tt = (_cells(p) for p in products)
    xx, yy = xx + _STILL, yy + _STILL
    determinant = xx * yy - xy * xy
    u = np.clip((xy * yt - yy * xt) / determinant, -_FASTEST, _FASTEST)
    v = np.clip((xy * xt - xx * yt) / determinant, -_FASTEST, _FASTEST)
    left = np.maximum(0.0, tt + u * xt + v * yt) / (tt + np.float32(1e-5))
    speed = np.hypot(u, v)
    turn = np.floor((np.arctan2(v, u) / (2 * np.pi) + 1) * _ANGLES).astype(np.int64) % _ANGLES
    directions = np.bincount(turn.ravel(), speed.ravel(), minlength=_ANGLES) / speed.size
    cells = [u.mean(axis=0), v.mean(axis=0), u.std(axis=0), v.std(axis=0), speed.mean(axis=0), left.mean(axis=0)]
    return np.concatenate([*cells, directions])
