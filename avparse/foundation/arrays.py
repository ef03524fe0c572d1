"""Type aliases of NumPy arrays, by the type of their elements; rows of videos that lie one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
Float16Array = npt.NDArray[np.float16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating[Any]]


def segment_rows(first: IntArray, lengths: IntArray) -> IntArray:
    """Return the rows of some videos, one after the other: ``first[n] + arange(lengths[n])``."""
    offset = np.cumsum(lengths) - lengths
    rows: IntArray = np.repeat(first - offset, lengths) + np.arange(int(lengths.sum()))
    return rows
