"""Published features in HDF5 files: one file a stream, with all videos in one array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.foundation.errors import UserError
from avparse.foundation.extras import library


@dataclass(frozen=True)
class FeatureArray:
    """An array ``[N, T, ..., D]`` in an HDF5 file that becomes a stream; what a video is called there is its row.

    Attributes:
        stream: name of the stream.
        name: name of the file.
        key: name of the array in it.
        dimension: length D of a feature vector.
        per_segment: number of feature vectors a segment, such as the cells of a map.
    """

    stream: str
    name: str
    key: str
    dimension: int
    per_segment: int = 1

    def check(self, features: Path) -> None:
        """Check that the file holds the array.

        Raises:
            UserError: the file is missing or no HDF5, or its array has another shape.
        """
        shape = _shape(features / self.name, self.key)
        vectors = int(np.prod(shape[2:-1]))
        if len(shape) < 3 or (vectors, shape[-1]) != (self.per_segment, self.dimension):
            raise UserError(
                f"{features / self.name}: '{self.key}' has shape {list(shape)}, not "
                f"[videos, segments, {self.per_segment} vectors, {self.dimension}]; download the file again"
            )

    def path(self, features: Path, file: str) -> str:
        """Return the path of the array and the row of a video in it."""
        return f"{features / self.name}, row {file}"

    def holder(self, features: Path, file: str) -> Path:
        """Return the path of the file of all videos."""
        return features / self.name

    def read(self, features: Path, file: str) -> npt.NDArray[Any]:
        """Return the feature vectors ``[rows, D]`` of a video.

        Raises:
            UserError: the array has no such row, or the file is damaged there.
        """
        row = read_array(features / self.name, self.key, int(file))
        return row.reshape(-1, self.dimension)


def read_array(path: Path, key: str, row: int | None = None) -> npt.NDArray[Any]:
    """Return an array of an HDF5 file, or one row of it.

    Raises:
        UserError: ``h5py`` is not installed, the file is missing or damaged, or it has no such array of numbers or row.
    """
    hdf5 = library("h5py", "hdf5", "HDF5 files")
    try:
        with hdf5.File(path, "r") as file:
            array = _array(hdf5, file, path, key)
            if row is not None and row >= array.shape[0]:
                raise UserError(f"{path}: '{key}' has {array.shape[0]} rows, so none of number {row}")
            found: npt.NDArray[Any] = array[()] if row is None else array[row]
            return found
    except OSError as error:
        raise _unreadable(path, error) from None


def _shape(path: Path, key: str) -> tuple[int, ...]:
    hdf5 = library("h5py", "hdf5", "HDF5 files")
    try:
        with hdf5.File(path, "r") as file:
            return tuple(_array(hdf5, file, path, key).shape)
    except OSError as error:
        raise _unreadable(path, error) from None


def _array(hdf5: Any, file: Any, path: Path, key: str) -> Any:
    array = file.get(key)
    if not isinstance(array, hdf5.Dataset) or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: holds no numbers '{key}'; download the file again")
    return array


def _unreadable(path: Path, error: OSError) -> UserError:
    if not path.is_file():
        return UserError(f"{path}: no such file; check the folder")
    return UserError(f"{path}: cannot be read as HDF5 ({' '.join(str(error).split())[:120]}); download the file again")
