"""Class scorers: networks that judge classes in one modality without having been trained as a parser."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from avparse.foundation.arrays import BoolArray


class ClassScorer(Protocol):
    """Turns one stream of an extractor into logits of the wanted classes; one file for each kind of scorer."""

    @property
    def modality(self) -> Literal["audio", "visual"]:
        """The modality that it judges."""
        ...

    @property
    def extractor(self) -> str:
        """Key in ``EXTRACTORS`` of what makes its stream."""
        ...

    @property
    def stream(self) -> str:
        """Name of the stream that it reads."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers a segment, ``D``, of that stream."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The C wanted classes, in order."""
        ...

    @property
    def judges(self) -> BoolArray:
        """Whether each class can be judged at all, ``[C]``."""
        ...

    @property
    def title(self) -> str:
        """The network in a few words, which the report shows beside its judgements."""
        ...

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits ``[T, C + R]`` of segments ``[T, D]``; NaN in the columns of classes it cannot judge.

        The first C columns are the classes. Further columns, if any, are of other things that the network was asked
        about; a threshold without labels may compare the classes with them.
        """
        ...
