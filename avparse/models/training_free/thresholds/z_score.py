"""Z-score over what was asked about (AV2A, CVPR 2025): a class is present where it stands out in its segment."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

_LEAST = 1e-6  # deviation of a segment all of whose logits are equal


@dataclass(frozen=True)
class ZScore:
    """Standardises the logits of each segment over the classes and the other things, and takes the sigmoid.

    Attributes:
        cut: deviations above the mean of the segment from which on a class counts as present. AV2A's probability of
            0.75 over the classes alone is a cut of 1.1.
    """

    cut: float = 1.5

    def __call__(self, logits: Tensor, classes: int) -> Tensor:
        """Return the probabilities ``[T, C]``, one half where a class stands out by ``cut``."""
        mean = logits.mean(dim=1, keepdim=True)
        deviation = logits.std(dim=1, keepdim=True, correction=0).clamp_min(_LEAST)
        return ((logits[:, :classes] - mean) / deviation - self.cut).sigmoid()
