"""Video-level losses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch
from avparse.foundation.settings import PartConfig
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput

_EPSILON = 1e-7


class VideoCrossEntropy:
    """Binary cross-entropy of one video-level probability, mean over videos and classes (ECCV 2020, equation 8).

    Probabilities are clamped to [1e-7, 1 - 1e-7], as the pooled probability of either modality may exceed one.
    A video that lacks the modality altogether does not count.
    """

    class Config(PartConfig):
        """Settings: ``of`` names the probability and the target that it is compared with."""

        name: Literal["video_bce"] = "video_bce"
        of: Literal["audio", "visual", "video"]
        weight: float = Field(1.0, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"bce_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch) -> Tensor:
        """Return the scalar loss."""
        probability: Tensor = getattr(output, self.config.of).clamp(_EPSILON, 1 - _EPSILON)
        target: Tensor = getattr(targets, self.config.of)
        each = -(target * probability.log() + (1 - target) * (1 - probability).log()).mean(dim=-1)  # [B]
        mask = None if self.config.of == "video" else getattr(batch.features, f"{self.config.of}_mask")
        if mask is None:
            return each.mean()
        present = mask.any(dim=-1).to(each.dtype)
        mean: Tensor = (each * present).sum() / present.sum().clamp_min(1)
        return mean
