"""What a training step is supervised with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Targets:
    """Targets of a batch, in [0, 1].

    Attributes:
        video: ``[B, C]``, the class occurs in either modality.
        audio, visual: ``[B, C]``, it occurs in that modality.
    """

    video: Tensor
    audio: Tensor
    visual: Tensor
