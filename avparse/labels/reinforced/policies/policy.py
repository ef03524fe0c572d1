"""Base class of all label policies: their signature, their starting point and the bounds of their logits."""

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
    """Clamp to plus or minus a bound; beyond it, pass only the gradient whose descent leads back inside.

    A plain clamp stops every gradient there, so that a policy that went too far in its first steps never moves again; a
    clamp that passes every gradient lets the logits grow without limit, because they no longer change anything.
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
    """Settings that every policy has.

    Attributes:
        initial_keep_logit: initial value of all logits; 2.2 keeps with probability 0.9. With 0, half of the videos with
            one label would violate the never-empty rule.
        logit_bound: bound on the absolute value of the logits, so that every action keeps being explored.
    """

    initial_keep_logit: float = 2.2
    logit_bound: float = Field(4.0, gt=0)


class KeepPolicy(nn.Module, ABC):
    """Base class of policies: the logits are a starting point plus the output of a network, within bounds.

    The last map of the network is initialised to zero, so that an untrained policy equals its starting point.

    Args:
        config: settings of the policy.
        spec: classes and streams of the data.
        summary: number K of values in the summary of the task network that :meth:`forward` receives; 0 for none.
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
        """Store mean and deviation ``[D]`` of each stream, if they are used."""
        if self.stem is not None:
            self.stem.calibrate(statistics)

    def start_from(self, logits: Tensor) -> None:
        """Start at keep logits ``[2, C]``, such as those of a class prior, instead of one number for all."""
        self.start.copy_(logits.unsqueeze(1))

    def forward(self, features: Features, labels: Tensor, summary: Tensor | None = None) -> Tensor:
        """Return the logits of keeping each label.

        Args:
            features: streams ``[B, T, D_s]`` and masks of the videos.
            labels: given labels ``[B, C]``, 0 or 1.
            summary: outputs ``[B, K]`` of the task network for the videos, such as its probabilities; they receive no
                gradient.

        Returns:
            Logits ``[2, B, C]``, audio then visual. Differentiate the loss that is minimised, not a log-probability
            whose gradient is scaled afterwards, because at the bounds the sign of the gradient matters
            (:class:`_Bounded`).

        Raises:
            UserError: the summary has another size than the policy was made for.
        """
        size = 0 if summary is None else summary.shape[-1]
        if size != self.summary:
            raise UserError(f"policy: made for a summary of {self.summary} values per video, received {size}")
        summary = None if summary is None else summary.detach()
        logits = self.start + self.learned(features, labels.to(self.start.dtype), summary)
        bounded: Tensor = _Bounded.apply(logits, self.bound)
        return bounded

    @abstractmethod
    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return the learned logits ``[2, B, C]``, which are added to the starting point."""


def start_at_zero(last: nn.Module) -> None:
    """Set the last map of a network to zero, so that an untrained policy equals its starting point."""
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
