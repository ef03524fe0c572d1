"""Published features in folders: one folder a stream, one ``.npy`` file a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from avparse.foundation.errors import UserError
from avparse.foundation.npy import read_data, read_header


@dataclass(frozen=True)
class FeatureFolder:
    """A folder of feature files that becomes a stream.

    Attributes:
        stream: name of the stream.
        name: name of the folder.
        dimension: length of a row of a file.
        per_segment: number of rows a segment, as published; files with fewer or more of them are read as well, unless
            it is 1.
    """

    stream: str
    name: str
    dimension: int
    per_segment: int = 1

    def check(self, features: Path) -> None:
        """Check that the folder is there.

        Raises:
            UserError: the folder does not exist.
        """
        if not (features / self.name).is_dir():
            raise UserError(f"{features / self.name}: no such folder of features; check --features")

    def path(self, features: Path, file: str) -> str:
        """Return the path of the file of a video."""
        return str(self.holder(features, file))

    def holder(self, features: Path, file: str) -> Path:
        """Return the path of the file of a video."""
        return features / self.name / f"{file}.npy"

    def read(self, features: Path, file: str) -> npt.NDArray[Any]:
        """Read real numbers ``[rows, dimension]``; the header is judged before the data are read.

        Raises:
            UserError: the file is missing, damaged or of another shape.
        """
        path = self.holder(features, file)
        if not path.is_file():
            raise UserError(f"{path}: missing")
        try:
            with open(path, "rb") as content:
                header = read_header(content, path)
                if header.dtype.kind not in "fiu" or len(header.shape) != 2:
                    raise UserError(f"{path}: {header.dtype} of shape {list(header.shape)}, not numbers in rows")
                if header.shape[1] != self.dimension or header.shape[0] < 1:
                    raise UserError(f"{path}: shape {list(header.shape)}, not [rows, {self.dimension}]")
                return read_data(content, header)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def find_folders(features: Path) -> tuple[FeatureFolder, ...]:
    """Return a source for each folder in ``features`` that holds ``.npy`` files, in the order of their names.

    The first file of a folder tells the length of a row.

    Raises:
        UserError: there is no such folder, or a first file is not one of numbers in rows.
    """
    if not features.is_dir():
        raise UserError(f"{features}: no such folder of features; check --features")
    found: list[FeatureFolder] = []
    for folder in sorted(path for path in features.iterdir() if path.is_dir()):
        first = next(iter(sorted(folder.glob("*.npy"))), None)
        if first is None:
            continue
        with open(first, "rb") as content:
            shape = read_header(content, first).shape
        if len(shape) != 2:
            raise UserError(f"{first}: has shape {list(shape)}; save features as [segments, numbers]")
        found.append(FeatureFolder(folder.name, folder.name, shape[1]))
    if not found:
        raise UserError(f"{features}: holds no folder of .npy files; give one folder a stream, with ID.npy a video")
    return tuple(found)
