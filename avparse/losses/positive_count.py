"""Loss on the number of segments with a class (Rachavarapu, Rajagopalan: Boosting Positive Segments, ICCV 2023).

No code was released; the form of the two steps is our reading of the paper. See ``docs/methods/poibin.md``.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput

_EPSILON = 1e-7


class PositiveCount:
    """A labelled class is in at least k segments, where k grows with the parser's confidence, other classes in none.

    The number K of segments that contain a class follows a Poisson-binomial distribution, that of a sum of independent
    Bernoulli variables with the segments' probabilities. In turn, batch by batch:

    * estimate (no gradient): k is the greatest number with P(K >= k, given K >= 1) >= ``confidence``;
    * learn: minimise -log P(K >= k) where the class is in the modality's label, and -log P(K = 0), divided by the
      number of segments, where it is not.

    The loss is the mean over classes and over the videos that have the modality.
    """

    class Config(LossConfig):
        """Settings of the loss ``positive_count``.

        Attributes:
            of: modality whose segments are counted.
            confidence: confidence of the estimate of k; at 1, k is always one, the usual constraint that some segment
                has the class.
            warmup: number of first epochs in which k is one, because the probabilities are not yet meaningful.
        """

        name: Literal["positive_count"] = "positive_count"
        of: Literal["audio", "visual"]
        confidence: float = Field(0.9, gt=0, le=1)
        warmup: int = Field(2, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"positive_count_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss."""
        p: Tensor = getattr(output, f"{self.config.of}_segments").clamp(max=1 - _EPSILON)
        mask: Tensor | None = getattr(batch.features, f"{self.config.of}_mask")
        positive = getattr(targets, self.config.of) > 0.5  # [B, C]
        tail = at_least(count_law(p))  # [B, C, T + 1]
        k = torch.ones_like(positive, dtype=torch.long)
        if step.epoch >= self.config.warmup:
            k = self._estimate(tail.detach())
        learned = -tail.gather(-1, k.unsqueeze(-1)).squeeze(-1).clamp_min(_EPSILON).log()
        count = p.new_full((len(p), 1), p.shape[1]) if mask is None else mask.sum(dim=1, keepdim=True)
        each = torch.where(positive, learned, -(1 - p).log().sum(dim=1) / count.clamp_min(1))
        mean: Tensor = (each * (count > 0)).mean(dim=-1).sum() / (count > 0).sum().clamp_min(1)
        return mean

    def _estimate(self, tail: Tensor) -> Tensor:
        """Return k ``[B, C]`` from the probabilities ``[B, C, T + 1]`` of at least 0, 1, ... segments."""
        if self.config.confidence == 1:  # float32 cannot distinguish very likely from certain
            return torch.ones(tail.shape[:-1], dtype=torch.long, device=tail.device)
        sure = tail[..., 1:] >= self.config.confidence * tail[..., 1:2]
        return sure.sum(dim=-1).clamp_min(1)  # the probabilities fall with k, so those that pass come first


def count_law(p: Tensor) -> Tensor:
    """Return the distribution P(K = 0), ..., P(K = T) ``[B, C, T + 1]`` of the number of segments that have a class.

    It is exact: segments are added one after the other, and as all terms are positive, nothing cancels.

    Args:
        p: probabilities ``[B, T, C]``; zero where a segment does not exist.
    """
    law = torch.zeros(p.shape[0], p.shape[2], p.shape[1] + 1, dtype=p.dtype, device=p.device)
    law[..., 0] = 1
    for segment in p.unbind(dim=1):
        q = segment.unsqueeze(-1)
        law = law * (1 - q) + torch.nn.functional.pad(law[..., :-1], (1, 0)) * q
    return law


def at_least(law: Tensor) -> Tensor:
    """Return the tail probabilities P(K >= 0), ..., P(K >= T) of a distribution."""
    return law.flip(-1).cumsum(dim=-1).flip(-1)
