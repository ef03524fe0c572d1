"""Two parsers trained together, which select the labels to trust by their losses (co-teaching+ and JoCoR).

Both methods were published for single-label images (Co-teaching+: Yu et al., ICML 2019; JoCoR: Wei et al., CVPR 2020);
no released code adapts them to video parsing. The unit of selection here is a modality of a video: its loss is summed
over classes, the units with the largest losses are left out, and the video-level term is never left out.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput

_MODALITIES = ("audio", "visual")


class _SelectionConfig(LossConfig):
    """Settings that both selection losses share.

    Attributes:
        forget_audio, forget_visual: final share of units that is left out; about the noise rate of that modality.
        ramp: number of epochs over which the share rises from 0.
        granularity: unit that is left out: a modality of a ``video``, or a single given ``label`` of it.
    """

    forget_audio: float = Field(0.05, ge=0, lt=1)
    forget_visual: float = Field(0.35, ge=0, lt=1)
    ramp: float = Field(10.0, gt=0)
    granularity: Literal["video", "label"] = "video"

    def share(self, modality: str, step: Step) -> float:
        """Return the share of units that is left out at this point of the training."""
        last: float = getattr(self, f"forget_{modality}")
        return last * min(step.progress / self.ramp, 1.0)


class CoTeaching:
    """Co-teaching+: each parser learns from the units that the other selected among those on which they disagree."""

    class Config(_SelectionConfig):
        """Settings of the loss ``coteaching``.

        Attributes:
            plain_epochs: number of first epochs of plain co-teaching, which ignores disagreement.
        """

        name: Literal["coteaching"] = "coteaching"
        plain_epochs: int = Field(5, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "coteaching"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the sum of both parsers' losses, each over the units that the other parser selected."""
        first, second = _peers(output)
        total = _video_term(first, targets) + _video_term(second, targets)
        for modality in _MODALITIES:
            target = getattr(targets, modality)
            p, q = getattr(first, modality), getattr(second, modality)
            losses = cross_entropy(p, target), cross_entropy(q, target)
            eligible = _present(batch, modality, target)
            if step.epoch >= self.config.plain_epochs:
                differ = eligible & ((p > 0.5) != (q > 0.5)).any(dim=-1)
                eligible = torch.where(differ.any(), differ, eligible)  # where all agree, choose among all
            for own, peer in ((losses[0], losses[1]), (losses[1], losses[0])):
                trusted = trusted_entries(
                    peer.detach(), target, eligible, self.config.share(modality, step), self.config
                )
                total = total + _mean(own, trusted)
        return total


class JoCoR:
    """JoCoR: both parsers learn from the units whose joint loss, agreement included, is small."""

    class Config(_SelectionConfig):
        """Settings of the loss ``jocor``.

        Attributes:
            agreement: weight of the symmetric divergence of both parsers against their cross-entropies.
        """

        name: Literal["jocor"] = "jocor"
        agreement: float = Field(0.1, ge=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "jocor"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the joint loss over the selected units."""
        first, second = _peers(output)
        total = _video_term(first, targets) + _video_term(second, targets)
        weight = self.config.agreement
        for modality in _MODALITIES:
            target = getattr(targets, modality)
            p, q = getattr(first, modality), getattr(second, modality)
            supervised = cross_entropy(p, target) + cross_entropy(q, target)
            joint = (1 - weight) * supervised + weight * _divergence(p, q)
            eligible = _present(batch, modality, target)
            trusted = trusted_entries(joint.detach(), target, eligible, self.config.share(modality, step), self.config)
            total = total + _mean(joint, trusted)
        return total


def _peers(output: ParserOutput) -> tuple[ParserOutput, ParserOutput]:
    if output.peers is None:
        raise UserError("losses 'coteaching' and 'jocor' compare two parsers: set parser.twins to true")
    return output.peers


def _video_term(output: ParserOutput, targets: Targets) -> Tensor:
    return cross_entropy(output.video, targets.video).mean()


def _present(batch: Batch, modality: str, like: Tensor) -> Tensor:
    """Return ``[B]``, whether each video has the modality."""
    mask: Tensor | None = getattr(batch.features, f"{modality}_mask")
    return torch.ones(len(like), dtype=torch.bool, device=like.device) if mask is None else mask.any(dim=-1)


def trusted_entries(losses: Tensor, target: Tensor, eligible: Tensor, share: float, config: _SelectionConfig) -> Tensor:
    """Select the entries that remain when the units with the largest losses are left out.

    Args:
        losses: loss ``[B, C]`` of each class of each video.
        target: target ``[B, C]`` in [0, 1].
        eligible: whether each video ``[B]`` takes part in the selection.
        share: share of the units that is left out.
        config: settings, which say what a unit is.

    Returns:
        Whether each entry ``[B, C]`` is selected.
    """
    if config.granularity == "video":
        return _smallest(losses.sum(dim=-1), eligible, share).unsqueeze(-1).expand_as(losses)
    given = (target > 0.5) & eligible.unsqueeze(-1)
    return torch.where(
        given, _smallest(losses.flatten(), given.flatten(), share).view_as(given), eligible.unsqueeze(-1)
    )


def _smallest(losses: Tensor, eligible: Tensor, share: float) -> Tensor:
    """Mark the ``floor((1 - share) n)`` smallest of the n eligible losses of a vector."""
    rank = torch.where(eligible, losses, torch.inf).argsort(stable=True).argsort(stable=True)
    # The small addition keeps a whole-number product from being lost to rounding.
    count = ((1 - share) * eligible.sum() + 1e-4).floor()
    return eligible & (rank < count)


def _mean(losses: Tensor, trusted: Tensor) -> Tensor:
    """Return the mean loss of the trusted entries, so that the size of the gradient does not depend on their number."""
    return (losses * trusted).sum() / trusted.sum().clamp_min(1)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(p||q) + KL(q||p) of Bernoulli probabilities, elementwise."""
    p, q = p.clamp(1e-7, 1 - 1e-7), q.clamp(1e-7, 1 - 1e-7)
    return (p - q) * (p.logit() - q.logit())
