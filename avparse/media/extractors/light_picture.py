"""What the light extractor sees in one segment: colours and edges on a grid, and how they move."""

from __future__ import annotations

import numpy as np

from avparse.foundation.arrays import Float64Array, FloatArray, UInt8Array

GRID = 4
_LEVELS = 4  # of each channel in the colour histogram
_MOVING_LEVELS = 5  # in that of the moving parts
_ANGLES = 8
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_STILL = np.float32(5e-5)  # regularises the flow of cells without texture
_FASTEST = 6.0  # pixels a frame; a larger flow is not one


def appearance_features(frames: UInt8Array) -> FloatArray:
    """Return colour and edge features ``[D]`` of one segment's frames ``[F, H, W, 3]``."""
    colours = frames.astype(np.float32) / 255
    mean = _cells(colours).mean(axis=0)
    deviation = np.sqrt(np.maximum(0.0, _cells(np.square(colours)).mean(axis=0) - np.square(mean)))
    edges = _edges(colours @ _LUMA)  # [cells, angles]
    parts = [mean.ravel(), deviation.ravel(), np.sqrt(_colour_shares(frames, _LEVELS)), edges.ravel()]
    return np.concatenate([*parts, edges.max(axis=0), edges.mean(axis=0), edges.std(axis=0)]).astype(np.float32)


def motion_features(frames: UInt8Array) -> FloatArray:
    """Return motion features ``[D]`` of one segment's frames ``[F, H, W, 3]``, F at least 2.

    Change of brightness, its course over time, and a least-squares flow (Lucas and Kanade, 1981), cell by cell; and
    the colours of what moves, wherever it is.
    """
    grey = frames.astype(np.float32) @ _LUMA / 255
    change = np.diff(grey, axis=0)
    size, signed = _cells(np.abs(change)), _cells(change)  # [F-1, cells]
    amounts = [size.mean(axis=0), size.std(axis=0), size.max(axis=0), signed.mean(axis=0), np.abs(signed).mean(axis=0)]
    course = [np.abs(np.fft.rfft(x - x.mean()))[1:] / len(x) for x in (size.mean(axis=1), grey.mean(axis=(1, 2)))]
    movers = np.sqrt(_colour_shares(frames[1:], _MOVING_LEVELS, np.abs(change)))
    changes = 10 * np.concatenate([*amounts, *course])
    return np.concatenate([changes, _flow(grey, change), movers]).astype(np.float32)


def _cells(values: FloatArray) -> FloatArray:
    """Return the means ``[F, cells, ...]`` of ``[F, H, W, ...]`` over the cells of the grid."""
    count, height, width = values.shape[:3]
    split = values.reshape(count, GRID, height // GRID, GRID, width // GRID, *values.shape[3:])
    cells: FloatArray = split.mean(axis=4).mean(axis=2).reshape(count, GRID * GRID, *values.shape[3:])
    return cells


def _colour_shares(frames: UInt8Array, levels: int, weights: FloatArray | None = None) -> Float64Array:
    """Return the shares ``[levels^3]`` of the colours of ``[F, H, W, 3]``, each channel in ``levels`` steps."""
    red, green, blue = np.moveaxis((frames.astype(np.intp) * levels) >> 8, -1, 0)
    codes = (red * levels + green) * levels + blue
    sums = np.bincount(codes.ravel(), None if weights is None else weights.ravel(), minlength=levels**3)
    shares: Float64Array = sums / (sums.sum() + 1e-3)
    return shares


def _edges(grey: FloatArray) -> Float64Array:
    """Return the root of how much edge of each orientation each cell of ``[F, H, W]`` has, ``[cells, angles]``."""
    down, across = (np.gradient(grey, axis=axis) for axis in (1, 2))
    strength = np.hypot(down, across)
    angle = np.floor(np.arctan2(down, across) * (_ANGLES / np.pi)).astype(np.int64) % _ANGLES
    rows, columns = (np.arange(n) * GRID // n for n in grey.shape[1:])
    place = (rows[:, None] * GRID + columns) * _ANGLES + angle
    sums = np.bincount(place.ravel(), strength.ravel(), minlength=GRID * GRID * _ANGLES).reshape(-1, _ANGLES)
    roots: Float64Array = np.sqrt(sums * (GRID * GRID / grey.size))
    return roots


def _flow(grey: FloatArray, change: FloatArray) -> FloatArray:
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
