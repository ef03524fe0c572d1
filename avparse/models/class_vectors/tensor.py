"""Class vectors from a file that holds a matrix."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from safetensors import SafetensorError, safe_open

from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.npy import read_npy, read_npz
from avparse.foundation.reading import check_file, parse_json
from avparse.models.class_vectors.config import ClassVectorConfig, check_dimension, unreadable, words

_log = logging.getLogger(__name__)
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, SafetensorError)
_MOST_BYTES = 256 << 20


class TensorVectors:
    """A matrix of class vectors ``[C, dimension]`` from a file.

    ``.npy`` holds the matrix alone; ``.npz`` and ``.safetensors`` hold it as ``vectors``, and may hold the names of its
    rows (an array ``names``, or ``names`` in the metadata as a JSON list). Without names, row i is taken for class i,
    and a warning says so, because a different order in the file could not be noticed.
    """

    class Config(ClassVectorConfig):
        """Settings of the source ``tensor``: ``path`` of the file of vectors."""

        name: Literal["tensor"] = "tensor"
        path: str
        dimension: int = Field(300, ge=1)

    def __init__(self, config: Config) -> None:
        self.path, self.dimension = Path(config.path), config.dimension

    def __call__(self, classes: Sequence[str]) -> Float32Array:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: the file cannot be read, holds something other than a matrix, or lacks a class.
        """
        try:
            vectors, names = self._read()
        except UserError:
            raise
        except _UNREADABLE as error:
            raise unreadable(self.path, error, "class vectors") from None
        if vectors.dtype.kind not in "fiu":
            raise UserError(f"{self.path}: the vectors are of type {vectors.dtype}, not numbers; store one row a class")
        if not np.isfinite(vectors).all():
            raise UserError(f"{self.path}: the vectors hold NaN or infinity; make the file again")
        if vectors.ndim != 2:
            raise UserError(f"{self.path}: the vectors have shape {vectors.shape}; store one row a class")
        check_dimension(self.path, vectors.shape[1], self.dimension)
        if names is not None:
            vectors = vectors[self._rows(names, len(vectors), classes)]
        if len(vectors) != len(classes):
            raise UserError(
                f"{self.path}: {len(vectors)} vectors without names for {len(classes)} classes; add an array 'names'"
            )
        if names is None:
            _tell_order(self.path, tuple(classes))
        return vectors.astype(np.float32)

    def _rows(self, names: Any, count: int, classes: Sequence[str]) -> list[int]:
        """Return the row of each class in a matrix of ``count`` rows; ``names`` are the row names in the file."""
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{self.path}: 'names' is not a list of texts; store one name a row")
        if len(names) != count:
            raise UserError(f"{self.path}: {count} vectors and {len(names)} names; store one row a name")
        rows = {tuple(words(name)): row for row, name in enumerate(names)}
        missing = next((name for name in classes if tuple(words(name)) not in rows), None)
        if missing is not None:
            raise UserError(f"{self.path}: no vector for class '{missing}'{nearest(missing, names)}")
        return [rows[tuple(words(name))] for name in classes]

    def _read(self) -> tuple[npt.NDArray[Any], Any]:
        """Return the matrix, and the row names as found in the file; None where it has none."""
        if self.path.suffix == ".safetensors":
            check_file(self.path, _MOST_BYTES)
            with safe_open(self.path, framework="np") as file:
                listed = (file.metadata() or {}).get("names")
                return file.get_tensor("vectors"), None if listed is None else parse_json(listed, str(self.path))
        if self.path.suffix == ".npz":
            arrays = read_npz(self.path, ("vectors", "names"), _MOST_BYTES)
            return arrays["vectors"], arrays["names"].tolist() if "names" in arrays else None
        return read_npy(self.path, _MOST_BYTES), None


@functools.cache  # warns once, although a parser is built several times before it is trained
def _tell_order(path: Path, classes: tuple[str, ...]) -> None:
    _log.warning(
        "%s: holds no class names; its rows are taken for %s, in this order; if that is wrong, add an array 'names'",
        path,
        ", ".join(classes),
    )
