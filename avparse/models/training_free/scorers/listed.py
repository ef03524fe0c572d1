"""A scorer that asks a network with a fixed list of names, such as an ImageNet classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from avparse.data.class_names import ListedClasses
from avparse.foundation.arrays import BoolArray


@dataclass(frozen=True, eq=False)
class ListedScorer:
    """Log-odds that any of the names that a class stands for holds.

    Attributes:
        modality: the modality of the stream.
        extractor: name of the extractor of the stream.
        stream: name of the stream that the last layer of the network reads.
        dimension: numbers a segment of that stream.
        head: last layer of the network, from features ``[T, D]`` to its outputs ``[T, L]``.
        listed: the wanted classes as sets of names of the list.
        title: the network in a few words.
    """

    modality: Literal["audio", "visual"]
    extractor: str
    stream: str
    dimension: int
    head: Callable[[Tensor], Tensor]
    listed: ListedClasses
    title: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The wanted classes."""
        return self.listed.classes

    @property
    def judges(self) -> BoolArray:
        """Whether the list has a name for each class, ``[C]``."""
        return self.listed.judges

    def logits(self, features: Tensor) -> Tensor:
        """Return the log-odds ``[T, C]`` of features ``[T, D]``; NaN where the list has no name for a class."""
        return self.listed.logits(self.head(features))
