"""Result of a denoiser, which the training of the parser uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from avparse.data.batching import Indices
from avparse.labels.refiner import Refiner
from avparse.labels.segments import SegmentLabels
from avparse.labels.table import RefinedLabels


@dataclass(frozen=True)
class Prepared:
    """Labels and weights that the training of a parser uses.

    Attributes:
        labels: refined labels of the training split, None to use the weak labels.
        segments: segment labels of the training split, None if there are none.
        refiners: refiners that are applied to the targets of every batch.
        only: positions of the training videos to train on, None for all.
        val: positions of the validation videos that select the epoch, None for all.
        start: weights that the parser starts from, None for random ones.
    """

    labels: RefinedLabels | None = None
    segments: SegmentLabels | None = None
    refiners: Sequence[Refiner] = field(default_factory=tuple)
    only: Indices | None = None
    val: Indices | None = None
    start: Mapping[str, Tensor] | None = None

    def with_segments(self, segments: SegmentLabels | None) -> Prepared:
        """Return the same with the given segment labels, if it has none, without the labels that ``labels`` drops."""
        if self.segments is not None or segments is None:
            return self
        return replace(self, segments=segments if self.labels is None else segments.masked(self.labels))
