"""Label policies: how probable it is that a given label really holds in each modality of a video.

``policy(features, labels, summary) -> logits [2, B, C]``, audio then visual; ``sigmoid(logit)`` is the probability of
keeping the label, so that 1 is the action "keep". One signature for all, listed in :data:`POLICIES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.attention import stack_masks
from avparse.models.encoders import ENCODERS
from avparse.models.encoders.han import HANEncoder
from avparse.models.output import Hidden
from avparse.models.stem import STEMS, LinearStem


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


class Policy(KeepPolicy):
    """The policy network of RLLD (arXiv 2412.19563, section 3.2): a HAN that is told the labels.

    A stem of its own maps the streams to one width; the given labels, and the summary where there is one, are
    appended to every segment of both modalities; a linear map leads back to that width, so that the labels can act on
    the attention; then the HAN layer, a linear map to C logits a segment and a pooling over time.
    """

    class Config(PolicyConfig):
        """Settings of the network; it has no dropout by default, so actions depend on state and draw alone.

        Attributes:
            pooling: over time; ``mean`` as we read the paper, ``attentive`` with learned weights a class, or ``max``.
            separate_heads: a linear map to the logits for each modality instead of one for both.
            labels_in_state: append the labels; without, the ablation of the paper's Table 2.
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
        _zero(self.heads)
        self.attention = self._maps(width, config) if config.pooling == "attentive" else None
        self.pool = _POOLINGS[config.pooling]

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return ``[2, B, C]``, zero for a modality that a video lacks altogether."""
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


class PooledPolicy(KeepPolicy):
    """A policy at a small fraction of HAN's cost, for updates at every step of the parser's own training.

    The streams are averaged over time before anything else (a linear stem allows it), then one hidden layer reads
    both modalities, the labels and the summary. No gradient flows into the streams.
    """

    class Config(PolicyConfig):
        """Settings of the network: the width of its stem is that of each modality, ``hidden`` that of the layer."""

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
        _zero(self.read[-1])

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return ``[2, B, C]``; a modality that a video lacks altogether is read as zeros and stays at the start."""
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


class EvidencePolicy(KeepPolicy):
    """A linear policy over what trained parsers make of each label.

    The summary holds K figures a class, ``[B, C K]`` in that order. Their weights are shared by all classes of a
    modality, plus deviations of each class; :meth:`penalty` draws both towards zero, where the starting point stays.
    """

    class Config(PolicyConfig):
        """Settings: those of every policy."""

        name: Literal["evidence"] = "evidence"

    def __init__(self, config: Config, spec: TaskSpec, summary: int = 0) -> None:
        super().__init__(config, spec, summary)
        if not summary or summary % self.classes:
            raise UserError(f"policy 'evidence': {summary} entries of evidence for {self.classes} classes; give K each")
        size = summary // self.classes + 1
        self.shared = nn.Parameter(torch.zeros(2, 1, 1, size))
        self.own = nn.Parameter(torch.zeros(2, 1, self.classes, size))

    def learned(self, features: Features, labels: Tensor, summary: Tensor | None) -> Tensor:
        """Return ``[2, B, C]``; the streams are not read."""
        if summary is None:
            raise RuntimeError("the evidence policy reads a summary")
        x = functional.pad(summary.view(len(summary), self.classes, -1), (0, 1), value=1.0)
        return ((self.shared + self.own) * x).sum(dim=-1)

    def penalty(self) -> Tensor:
        """Return half the squared length of all weights."""
        return (self.shared.square().sum() + self.own.square().sum()) / 2


def _zero(last: nn.Module) -> None:
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def _each(maps: nn.ModuleList, x: Tensor) -> Tensor:
    """Apply to audio ``x[0]`` the first of the maps and to visual ``x[1]`` the last one."""
    return torch.stack((maps[0](x[0]), maps[-1](x[1])))


def _mean(stream: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean ``[B, 1, D]`` over the real segments, zero where there is none."""
    if mask is None:
        return stream.mean(dim=1, keepdim=True)
    real = mask.unsqueeze(-1)
    return stream.masked_fill(~real, 0.0).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True).clamp_min(1)


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
POLICIES: dict[str, type[KeepPolicy]] = {
    "han": Policy,
    "pooled": PooledPolicy,
    "prior": PriorPolicy,
    "evidence": EvidencePolicy,
}
