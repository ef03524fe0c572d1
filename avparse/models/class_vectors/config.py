"""Settings and helpers that all sources of class vectors share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from avparse.foundation.arrays import Float32Array, Float64Array
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig


class ClassVectorConfig(PartConfig):
    """Settings that every source of class vectors has.

    Attributes:
        dimension: number of values per vector. It is stated instead of read from the source, so that a trained parser
            can be built where the source is not available.
        tells: whether a vector carries the meaning of its class, so that a parser may recognise a class it was not
            trained on.
    """

    tells: ClassVar[bool] = True
    dimension: int = Field(ge=1)


def words(name: str) -> list[str]:
    """Return the words of a class name in lower case, without underscores and punctuation."""
    return re.findall(r"[^\W_]+", name.casefold())


def scaled(x: Float64Array) -> Float32Array:
    """Scale each vector to a root mean square of 1/3, as GloVe's have, so that training starts alike for all."""
    scale = 3 * np.sqrt(np.square(x).mean(axis=1, keepdims=True))
    vectors: Float32Array = (x / np.maximum(scale, 1e-12)).astype(np.float32)
    return vectors


def check_dimension(where: str | Path, found: int, expected: int) -> None:
    """Refuse vectors with another number of values than expected.

    Raises:
        UserError: ``found`` differs from ``expected``.
    """
    if found != expected:
        raise UserError(f"{where}: {found} values per class, not {expected}; set 'dimension' of the labels to {found}")


def unreadable(where: str | Path, error: Exception, what: str) -> UserError:
    """Return the error for a source at ``where`` that cannot be read as ``what``."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(f"{where}: cannot be read as {what} ({' '.join(reason.split())[:160]}); check the path")
