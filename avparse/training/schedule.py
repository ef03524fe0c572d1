"""Optimiser and learning-rate schedules; the rate is a function of the epoch, so there is no state to resume."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Protocol

import torch
from pydantic import Field
from torch import nn

from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, Settings


class Schedule(Protocol):
    """A learning-rate schedule, made from its settings."""

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the multiple of the rate at ``epoch`` (a fraction inside an epoch) of ``epochs``."""


class StepDecay:
    """Multiplies the rate by ``factor`` after every ``every`` epochs."""

    class Config(PartConfig):
        """Settings of the schedule ``step``."""

        name: Literal["step"] = "step"
        every: int = Field(10, ge=1)
        factor: float = Field(0.1, gt=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the multiple of the rate at ``epoch`` (a fraction inside an epoch) of ``epochs``."""
        multiple: float = self.config.factor ** (int(epoch) // self.config.every)
        return multiple


class WarmupCosine:
    """Rises linearly to the full rate in epoch ``warmup``, then falls along half a cosine; constant within an epoch.

    It follows VALOR, which sets the rate before each epoch, counted from 1.
    """

    class Config(PartConfig):
        """Settings of the schedule ``warmup_cosine``: epochs of the rise, and the multiple in the last epoch."""

        name: Literal["warmup-cosine"] = "warmup-cosine"
        warmup: int = Field(10, ge=0)
        last: float = Field(0.01, ge=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the multiple of the rate at ``epoch`` (a fraction inside an epoch) of ``epochs``."""
        number, warmup, last = int(epoch) + 1, self.config.warmup, self.config.last
        if number < warmup:
            return number / warmup
        done = (number - warmup) / max(epochs - warmup, 1)
        return last + (1 - last) / 2 * (1 + math.cos(math.pi * done))


SCHEDULES: dict[str, type[Schedule]] = {"step": StepDecay, "warmup-cosine": WarmupCosine}


class AdamConfig(Settings):
    """Adam (Kingma and Ba, 2015), with decoupled weight decay if ``weight_decay`` is given.

    Attributes:
        multiples: multiples of the rate for parameters whose names begin with the given prefixes (DHHN's guides).
    """

    rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    multiples: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a model's parameters; its groups carry their ``multiple``.

        Raises:
            UserError: no parameter has a name that begins with a prefix of ``multiples``.
        """
        members: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in ("", *self.multiples)}
        for name, parameter in model.named_parameters():
            members[next((prefix for prefix in self.multiples if name.startswith(prefix)), "")].append(parameter)
        lost = next((prefix for prefix in self.multiples if not members[prefix]), None)
        if lost is not None:
            raise UserError(f"training.optimizer.multiples: no parameter's name begins with '{lost}'")
        groups = [{"params": own, "multiple": self.multiples.get(prefix, 1.0)} for prefix, own in members.items()]
        if self.weight_decay:
            return torch.optim.AdamW(groups, lr=self.rate, betas=self.betas, weight_decay=self.weight_decay, fused=True)
        return torch.optim.Adam(groups, lr=self.rate, betas=self.betas, fused=True)
