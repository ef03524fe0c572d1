"""RLLD's policy network: a HAN that reads the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.labels.reinforced.policies.policy import KeepPolicy, PolicyConfig, start_at_zero
from avparse.models.encoders import ENCODERS
from avparse.models.encoders.han import HANEncoder
from avparse.models.layers.attention import stack_masks
from avparse.models.output import Hidden
from avparse.models.stem import STEMS, LinearStem


class Policy(KeepPolicy):
    """The policy network of RLLD (arXiv 2412.19563, section 3.2): a HAN that reads the labels.

    A separate stem maps the streams to one width; the given labels, and the summary if there is one, are appended to
    every segment of both modalities. A linear map reduces this to the width again, so that the labels can influence the
    attention; then come the HAN layer, a linear map to C logits per segment and pooling over time.
    """

    class Config(PolicyConfig):
        """Settings of the policy ``han``; it has no dropout by default, so that actions depend on state and draw alone.

        Attributes:
            pooling: pooling over time: ``mean``, as we read the paper, ``attentive`` with learned weights per class, or
                ``max``.
            separate_heads: whether each modality has its own linear map to the logits instead of a shared one.
            labels_in_state: whether the labels are appended; without them, it is the ablation of the paper's Table 2.
        """

        name: Literal["han"] = "han"
        stem: Annotated[PartConfig, *part_of(STEMS, "stem")] = LinearStem.Config()
        encoder: Annotated[PartConfig, *part_of(ENCODERS, "encoder")] = HANEncoder.Config(dropout=0.0)
        pooling: Literal["mean", "attentive", "max"] = "mean"
        separate_heads: bool = False
        labels_in_state: bool = True

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        self.labels_in_state = config.labels_in_state
        self.stem: LinearStem = build(STEMS, config.stem, spec.streams)
        width = self.stem.width
        self.join = nn.Linear(width + self.classes * config.labels_in_state + summary, width)
        self.encoder = build(ENCODERS, config.encoder, width)
        self.heads = self._maps(width, config)
        start_at_zero(self.heads)
        self.attention = self._maps(width, config) if config.pooling == "attentive" else None
        self.pool = _POOLINGS[config.pooling]

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return the learned logits ``[2, B, C]``, zero for a modality that a video lacks altogether."""
        stem = self.stem(features)
        x = torch.stack((stem.audio, stem.visual))  # [2, B, T, width]
        parts = [labels] if self.labels_in_state else []
        parts += [] if summary is None else [summary]
        state = [part.unsqueeze(1).expand(*x.shape[:3], -1) for part in parts]
        audio, visual = self.join(torch.cat((x, *state), dim=-1))
        hidden = self.encoder(Hidden(audio, visual), features.audio_mask, features.visual_mask)
        x = torch.stack((hidden.audio, hidden.visual))
        logits = _each(self.heads, x)  # [2, B, T, C]
        scores = torch.zeros_like(logits) if self.attention is None else _each(self.attention, x)
        mask = stack_masks(features.audio_mask, features.visual_mask, x)
        real = torch.ones_like(logits[..., :1], dtype=torch.bool) if mask is None else mask.unsqueeze(-1)
        return self.pool(logits, scores, real)

    def _maps(self, width: int, config: Config) -> nn.ModuleList:
        return nn.ModuleList(nn.Linear(width, self.classes) for _ in range(1 + config.separate_heads))


def _each(maps: nn.ModuleList, x: Tensor) -> Tensor:
    """Apply the first of the maps to audio ``x[0]`` and the last one to visual ``x[1]``."""
    return torch.stack((maps[0](x[0]), maps[-1](x[1])))


def _mean_pool(logits: Tensor, scores: Tensor, real: Tensor) -> Tensor:
    return (logits * real).sum(dim=2) / real.sum(dim=2).clamp_min(1)


def _attentive_pool(logits: Tensor, scores: Tensor, real: Tensor) -> Tensor:
    weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(dim=2) * real
    return (weights * logits).sum(dim=2)


def _max_pool(logits: Tensor, scores: Tensor, real: Tensor) -> Tensor:
    highest = logits.masked_fill(~real, torch.finfo(logits.dtype).min).amax(dim=2)
    return highest.masked_fill(~real.any(dim=2), 0.0)


Pool = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits and scores [2, B, T, C], real [2, B, T, 1] -> [2, B, C]
_POOLINGS: dict[str, Pool] = {"mean": _mean_pool, "attentive": _attentive_pool, "max": _max_pool}
