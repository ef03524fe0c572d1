"""Targets of a training step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

_EPSILON = 1e-7


@dataclass
class Targets:
    """Targets of a batch, in [0, 1].

    Attributes:
        video: target ``[B, C]`` that the class occurs in either modality.
        audio, visual: target ``[B, C]`` that the class occurs in the modality.
        audio_segments, visual_segments: target ``[B, T, C]`` that the class occurs in the segment (NaN if unknown);
            None if there are no segment labels.
    """

    video: Tensor
    audio: Tensor
    visual: Tensor
    audio_segments: Tensor | None = None
    visual_segments: Tensor | None = None


def cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of each entry.

    Probabilities are clamped to [1e-7, 1 - 1e-7], because the pooled probability of either modality may exceed one.
    """
    probability = probability.clamp(_EPSILON, 1 - _EPSILON)
    return -(target * probability.log() + (1 - target) * (1 - probability).log())
