"""Word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.models.class_vectors.config import ClassVectorConfig, check_dimension, unreadable, words


class GloVeVectors:
    """Word vectors from a text file with a word and its numbers per line; a name gets the mean of its words (LEAP)."""

    class Config(ClassVectorConfig):
        """Settings of the source ``glove``: ``path`` of the file of word vectors, e.g. ``glove.6B.300d.txt``."""

        name: Literal["glove"] = "glove"
        path: str
        dimension: int = Field(300, ge=1)

    def __init__(self, config: Config) -> None:
        self.path, self.dimension = Path(config.path), config.dimension

    def __call__(self, classes: Sequence[str]) -> Float32Array:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: the file cannot be read, or lacks a word of a class name.
        """
        parts = {name: words(name) for name in classes}
        found = self._read({word for named in parts.values() for word in named})
        for name, named in parts.items():
            missing = next((word for word in named if word not in found), None)
            if missing is not None or not named:
                what = f"the word '{missing}'" if named else "a name without words,"
                raise UserError(f"{self.path}: no vector for {what} of class '{name}'; rename the class")
        return np.stack([np.mean([found[word] for word in parts[name]], axis=0) for name in classes])

    def _read(self, wanted: set[str]) -> dict[str, Float32Array]:
        found: dict[str, Float32Array] = {}
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    word, _, numbers = line.partition(" ")
                    if word in wanted and word not in found:
                        found[word] = np.array(numbers.split(), dtype=np.float32)
                        check_dimension(self.path, found[word].shape[-1], self.dimension)
                        if len(found) == len(wanted):
                            break
        except OSError as error:
            raise unreadable(self.path, error, "word vectors") from None
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{self.path}: not all values after '{word}' are numbers; get the file again") from None
        return found
