"""A policy of one keep logit a class and modality."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig


class PriorPolicy(KeepPolicy):
    """One keep logit a class and modality, whatever the video: the least that reinforcement can learn."""

    class Config(PolicyConfig):
        """Settings: those of every policy."""

        name: Literal["prior"] = "prior"

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        self.change = nn.Parameter(torch.zeros(2, 1, self.classes))

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return ``[2, B, C]``, the same for every video."""
        return self.change.expand(-1, len(labels), -1)
