"""Random class vectors, which need no file and no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from avparse.foundation.arrays import Float32Array
from avparse.models.class_vectors.config import ClassVectorConfig, scaled


class OrthogonalVectors:
    """Random directions: nearly orthogonal, and a function of the class name alone.

    They carry no information on similarity of classes, so a parser trained with them cannot recognise an unseen class.
    """

    class Config(ClassVectorConfig):
        """Settings."""

        tells: ClassVar[bool] = False
        name: Literal["orthogonal"] = "orthogonal"
        dimension: int = Field(300, ge=1)

    def __init__(self, config: Config) -> None:
        self.dimension = config.dimension

    def __call__(self, classes: Sequence[str]) -> Float32Array:
        """Return the vectors ``[C, dimension]``."""
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) for name in classes]
        return scaled(np.stack([np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds]))
