"""What all label policies share: their signature, their starting point, and the bounds of their logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.models.stem import LinearStem


class _Bounded(torch.autograd.Function):
    """Cut to plus or minus a bound; beyond it, let through only the gradient whose descent leads back inside.

    A plain cut stops every gradient there, so that a policy which went too far in its first steps never moves again;
    one that passes every gradient lets the logits run away, as they no longer change anything.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(logits)
        ctx.bound = bound
        return logits.clamp(-bound, bound)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (logits,) = ctx.saved_tensors
        outward = ((logits > ctx.bound) & (gradient < 0)) | ((logits < -ctx.bound) & (gradient > 0))
        return gradient.masked_fill(outward, 0.0), None


class PolicyConfig(PartConfig):
    """Settings of every policy.

    Attributes:
        initial_keep_logit: where all logits start; 2.2 keeps with probability 0.9. At 0 half of the videos with one
            label would violate the never-empty rule.
        logit_bound: logits are cut to plus or minus this, so that every action keeps being explored.
    """

    initial_keep_logit: float = 2.2
    logit_bound: float = Field(4.0, gt=0)


class KeepPolicy(nn.Module, ABC):
    """What all policies share: logits are a starting point plus what the network has learned, within bounds.

    The last map of a network is zero at first, so that an untrained policy is exactly its starting point.

    Args:
        config: settings.
        spec: classes and streams of the data.
        summary: entries K of the summary of the task network that :meth:`forward` will receive, 0 for none.
    """

    start: Tensor

    def __init__(self, config: PolicyConfig, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__()
        self.stem: LinearStem | None = None
        self.bound = config.logit_bound
        self.classes, self.summary = len(spec.classes), summary
        self.register_buffer("start", torch.full((2, 1, self.classes), config.initial_keep_logit))

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` must be called before training."""
        return self.stem is not None and self.stem.needs_statistics

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream; only where they are needed."""
        if self.stem is not None:
            self.stem.calibrate(statistics)

    def start_from(self, logits: Tensor) -> None:
        """Start at keep logits ``[2, C]``, such as those of a class prior, instead of one number for all."""
        self.start.copy_(logits.unsqueeze(1))

    def forward(self, features: Features, labels: Tensor, summary: Tensor | None = None) -> Tensor:
        """Return the keep logits.

        Args:
            features: streams ``[B, T, D_s]`` and masks.
            labels: ``[B, C]`` given labels, 0 or 1.
            summary: ``[B, K]`` what the task network makes of the videos, such as its probabilities; it receives no
                gradient.

        Returns:
            ``[2, B, C]``, audio then visual. Differentiate the loss that is minimised, not a log-probability whose
            gradient is scaled afterwards: at the bounds its sign matters, see :class:`_Bounded`.

        Raises:
            UserError: another K than the policy was made for.
        """
        size = 0 if summary is None else summary.shape[-1]
        if size != self.summary:
            raise UserError(f"policy: made for a summary of {self.summary} entries a video, received {size}")
        summary = None if summary is None else summary.detach()
        logits = self.start + self.learned(features, labels.to(self.start.dtype), summary)
        bounded: Tensor = _Bounded.apply(logits, self.bound)
        return bounded

    @abstractmethod
    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return what is added to the starting point, ``[2, B, C]``."""


def start_at_zero(last: nn.Module) -> None:
    """Zero the last map of a network, so that an untrained policy is exactly its starting point."""
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
