"""Vectors from a file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from safetensors import SafetensorError, safe_open

from avparse.foundation.errors import UserError, nearest
from avparse.models.label_sources.source import LabelConfig, Vectors, check_dimension, unreadable, words


class TensorLabels:
    """A matrix ``[C, dimension]`` from a file.

    ``.npy`` holds the matrix alone; ``.npz`` and ``.safetensors`` hold it as ``vectors``, and may hold the names of its
    rows (an array ``names``, or ``names`` in the metadata as a JSON list). Without names, row i belongs to class i.
    """

    class Config(LabelConfig):
        """Settings: ``path`` of the file."""

        name: Literal["tensor"] = "tensor"
        path: str
        dimension: int = Field(300, ge=1)

    def __init__(self, config: Config) -> None:
        self.path, self.dimension = Path(config.path), config.dimension

    def __call__(self, classes: Sequence[str]) -> Vectors:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: the file cannot be read, or it lacks a class.
        """
        try:
            vectors, names = self._read()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, SafetensorError) as error:
            raise unreadable(self.path, error, "label vectors") from None
        if vectors.ndim != 2:
            raise UserError(f"{self.path}: the vectors have shape {vectors.shape}; store one row a class")
        check_dimension(self.path, vectors.shape[1], self.dimension)
        if names is not None:
            rows = {tuple(words(name)): row for row, name in enumerate(names)}
            missing = next((name for name in classes if tuple(words(name)) not in rows), None)
            if missing is not None:
                raise UserError(f"{self.path}: no vector for class '{missing}'{nearest(missing, names)}")
            vectors = vectors[[rows[tuple(words(name))] for name in classes]]
        if len(vectors) != len(classes):
            raise UserError(
                f"{self.path}: {len(vectors)} vectors without names for {len(classes)} classes; add an array 'names'"
            )
        return vectors.astype(np.float32)

    def _read(self) -> tuple[Vectors, list[str] | None]:
        if self.path.suffix == ".safetensors":
            with safe_open(self.path, framework="np") as file:
                listed = (file.metadata() or {}).get("names")
                return file.get_tensor("vectors"), None if listed is None else json.loads(listed)
        content = np.load(self.path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content, None
        with content:
            return content["vectors"], [str(n) for n in content["names"]] if "names" in content else None
