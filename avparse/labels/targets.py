"""What a training step is supervised with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

_EPSILON = 1e-7


@dataclass
class Targets:
    """Targets of a batch, in [0, 1].

    Attributes:
        video: ``[B, C]``, the class occurs in either modality.
        audio, visual: ``[B, C]``, it occurs in that modality.
        audio_segments, visual_segments: ``[B, T, C]``, it occurs in that segment (NaN: nobody knows); None where
            no segment labels are.
    """

    video: Tensor
    audio: Tensor
    visual: Tensor
    audio_segments: Tensor | None = None
    visual_segments: Tensor | None = None


def cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of each entry.

    Probabilities are clamped to [1e-7, 1 - 1e-7], as the pooled probability of either modality may exceed one.
    """
    probability = probability.clamp(_EPSILON, 1 - _EPSILON)
    return -(target * probability.log() + (1 - target) * (1 - probability).log())
