"""A policy that first averages the streams over time, at a small fraction of the cost of HAN."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig, start_at_zero
from avparse.models.stem import STEMS, LinearStem


class PooledPolicy(KeepPolicy):
    """A policy at a small fraction of HAN's cost, for updates at every step of the parser's training.

    The streams are averaged over time first (a linear stem allows it), then one hidden layer reads both modalities, the
    labels and the summary. No gradient flows into the streams.
    """

    class Config(PolicyConfig):
        """Settings of the policy ``pooled``.

        Attributes:
            hidden: width of the hidden layer. The width of the stem is that of each modality.
        """

        name: Literal["pooled"] = "pooled"
        stem: Annotated[PartConfig, *part_of(STEMS, "stem")] = LinearStem.Config(width=128)
        hidden: int = Field(128, ge=1)
        labels_in_state: bool = True

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        self.labels_in_state = config.labels_in_state
        self.stem: LinearStem = build(STEMS, config.stem, spec.streams)
        size = 2 * self.stem.width + self.classes * config.labels_in_state + summary
        self.read = nn.Sequential(nn.Linear(size, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2 * self.classes))
        start_at_zero(self.read[-1])

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return the learned logits ``[2, B, C]``; a modality that a video lacks altogether is read as zeros."""
        config = self.stem.config
        means: dict[str, Tensor] = {}
        lacking = []
        for names, mask in ((config.audio, features.audio_mask), (config.visual, features.visual_mask)):
            means |= {name: _mean(features.streams[name].detach(), mask) for name in names}
            lacking.append(labels.new_zeros(len(labels), 1).bool() if mask is None else ~mask.any(1, keepdim=True))
        lacks = torch.stack(lacking)  # [2, B, 1]
        stem = self.stem(Features(means))
        x = torch.stack((stem.audio.squeeze(1), stem.visual.squeeze(1))).masked_fill(lacks, 0.0)
        parts = [*x, *([labels] if self.labels_in_state else []), *([] if summary is None else [summary])]
        audio, visual = self.read(torch.cat(parts, dim=-1)).chunk(2, dim=-1)
        return torch.stack((audio, visual)).masked_fill(lacks, 0.0)


def _mean(stream: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean ``[B, 1, D]`` over the existing segments, zero where there is none."""
    if mask is None:
        return stream.mean(dim=1, keepdim=True)
    real = mask.unsqueeze(-1)
    return stream.masked_fill(~real, 0.0).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True).clamp_min(1)
