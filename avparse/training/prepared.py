"""What a denoiser hands to the training of the parser."""

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
    """What a denoiser hands to the training of the parser.

    Attributes:
        labels: refined labels of the training split, None where the weak labels stay.
        segments: segment labels of the training split, None where there are none.
        refiners: applied to the targets of every batch.
        only: positions of the training videos to learn from, None for all.
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
        """Return this with segment labels, where it has none of its own: those given, less what ``labels`` drops."""
        if self.segments is not None or segments is None:
            return self
        return replace(self, segments=segments if self.labels is None else segments.masked(self.labels))
