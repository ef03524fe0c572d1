"""Cross-entropy on video-level labels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput


class VideoCrossEntropy:
    """Binary cross-entropy of one video-level probability, mean over videos and classes (ECCV 2020, equation 8).

    A video that lacks the modality altogether does not count.
    """

    class Config(LossConfig):
        """Settings of the loss ``video_bce``: ``of`` names the probability and the target that are compared."""

        name: Literal["video_bce"] = "video_bce"
        of: Literal["audio", "visual", "video"]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"bce_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss."""
        each = cross_entropy(getattr(output, self.config.of), getattr(targets, self.config.of)).mean(dim=-1)  # [B]
        mask = None if self.config.of == "video" else getattr(batch.features, f"{self.config.of}_mask")
        if mask is None:
            return each.mean()
        present = mask.any(dim=-1).to(each.dtype)
        mean: Tensor = (each * present).sum() / present.sum().clamp_min(1)
        return mean
