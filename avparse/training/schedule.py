"""Optimiser and learning rate: the rate is a function of the epoch alone, so there is no state to resume."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from avparse.foundation.settings import PartConfig, Settings


class StepDecay:
    """Multiply the rate by ``factor`` after every ``every`` epochs."""

    class Config(PartConfig):
        """Settings of the schedule."""

        name: Literal["step"] = "step"
        every: int = Field(10, ge=1)
        factor: float = Field(0.1, gt=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the rate's multiple at ``epoch`` (a fraction inside an epoch) of ``epochs``."""
        multiple: float = self.config.factor ** (int(epoch) // self.config.every)
        return multiple


SCHEDULES: dict[str, type[StepDecay]] = {"step": StepDecay}


class AdamConfig(Settings):
    """Adam (Kingma and Ba, 2015); decoupled weight decay where ``weight_decay`` is given."""

    rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of ``parameters``."""
        if self.weight_decay:
            return torch.optim.AdamW(parameters, lr=self.rate, weight_decay=self.weight_decay, fused=True)
        return torch.optim.Adam(parameters, lr=self.rate, fused=True)
