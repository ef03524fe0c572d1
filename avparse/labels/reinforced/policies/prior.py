"""A policy with one keep logit per class and modality."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig


class PriorPolicy(KeepPolicy):
    """One keep logit per class and modality, the same for every video: the least that reinforcement can learn."""

    class Config(PolicyConfig):
        """Settings of the policy ``prior``, which are those of every policy."""

        name: Literal["prior"] = "prior"

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        self.change = nn.Parameter(torch.zeros(2, 1, self.classes))

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return the learned logits ``[2, B, C]``, the same for every video."""
        return self.change.expand(-1, len(labels), -1)
