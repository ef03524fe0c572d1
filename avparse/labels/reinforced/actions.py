"""Actions of a label policy: keep or drop each given label, in each modality (RLLD, arXiv 2412.19563, section 3.2).

An action is one Bernoulli draw per class, whose probability of *keeping* the label is ``sigmoid(logit)``. Only the
draws of given labels have an effect. A draw that would drop every label of a video in a modality violates the rule that
a label set is never empty; the environment then keeps the given labels. The log-probability is that of the draw,
whatever the environment makes of it.

In all functions ``logits`` is ``[..., B, C]``, usually ``[2, B, C]`` (audio, visual), and ``labels``, the given labels
(0 or 1 of any type), broadcasts against it and is usually ``[B, C]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avparse.labels.targets import Targets


@dataclass
class Actions:
    """A draw, and the labels that result from it.

    Attributes:
        keep: boolean draw ``[..., B, C]``; True keeps the label.
        labels: revised labels ``[..., B, C]``, in the type of the given labels.
        violated: boolean ``[..., B]``, whether the draw would have dropped every given label, so that all of them were
            kept.
    """

    keep: Tensor
    labels: Tensor
    violated: Tensor


def sample(logits: Tensor, labels: Tensor, generator: torch.Generator, may_empty: bool = False) -> Actions:
    """Draw actions; the state of ``generator`` determines them.

    Args:
        logits: logits ``[..., B, C]`` of keeping each label.
        labels: given labels ``[B, C]``, 0 or 1.
        generator: source of the random draws, on any device.
        may_empty: whether draws that leave no label are allowed.
    """
    draw = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits.device)
    return act(draw < logits.detach().float().sigmoid(), labels, may_empty)


def greedy(logits: Tensor, labels: Tensor, threshold: float = 0.5, may_empty: bool = False) -> Actions:
    """Decide without randomness: keep each label whose probability of being kept is at least ``threshold``.

    Args:
        logits: logits ``[..., B, C]`` of keeping each label.
        labels: given labels ``[B, C]``, 0 or 1.
        threshold: smallest probability at which a label is kept.
        may_empty: whether a video may be left without a label.
    """
    return act(logits.detach().float().sigmoid() >= threshold, labels, may_empty)


def act(keep: Tensor, labels: Tensor, may_empty: bool = False) -> Actions:
    """Apply the draw ``keep`` to the given labels, with the rule that a label set is never empty."""
    revised = labels * keep
    keep, labels = keep.expand_as(revised), labels.expand_as(revised)
    violated = labels.bool().any(dim=-1) & ~revised.bool().any(dim=-1) & (not may_empty)
    return Actions(keep, torch.where(violated.unsqueeze(-1), labels, revised), violated)


def repair_union(actions: Actions, logits: Tensor, labels: Tensor) -> Actions:
    """Restore each label that both modalities dropped, in the modality with the higher probability (ties: audio).

    The union of the modalities is then again the given label set, because weak labels are seldom wrong in both.

    Args:
        actions: actions of both modalities; the first axis of every attribute is audio, visual.
        logits: logits ``[2, ..., B, C]`` of keeping each label.
        labels: given labels ``[B, C]``, 0 or 1.

    Returns:
        The same draws with repaired labels.
    """
    lost = labels.bool() & ~actions.labels.bool().any(dim=0)
    audio = logits[0] >= logits[1]
    return replace(actions, labels=torch.where(lost & torch.stack((audio, ~audio)), labels, actions.labels))


def log_probability(logits: Tensor, keep: Tensor, labels: Tensor, all_classes: bool = False) -> Tensor:
    """Return the log-probability ``[..., B]`` of the draw ``keep``, differentiable in the logits.

    Args:
        logits: logits ``[..., B, C]`` of keeping each label.
        keep: boolean draw ``[..., B, C]``.
        labels: given labels ``[B, C]``; the draws of all other classes are left out, because they have no effect and
            would only add variance to the gradient.
        all_classes: whether to sum over every class nevertheless, as the paper's formula reads.
    """
    each = functional.logsigmoid(torch.where(keep, logits, -logits))
    return (each if all_classes else each * labels).sum(dim=-1)


def sampled_targets(
    labels: Tensor,
    weak: Tensor,
    segments: Sequence[Tensor | None],
    video: Literal["given", "union", "audio"],
) -> Targets:
    """Return the targets that follow from sampled labels, unsmoothed; a dropped label is dropped in every segment.

    Args:
        labels: sampled labels ``[2, B, C]`` of audio and visual.
        weak: given weak labels ``[B, C]``.
        segments: pseudo labels ``[B, T, C]`` of audio and of visual, or None; a label is bounded by its highest pseudo
            label, if all of them are known.
        video: rule of the video's target, as in the final training: as ``given``, the modalities' ``union``, or
            ``audio``.
    """
    kept = [
        None if pseudo is None else pseudo.masked_fill(((weak > 0) & (own == 0)).unsqueeze(1), 0)
        for pseudo, own in zip(segments, labels, strict=True)
    ]
    audio, visual = (
        own if left is None else torch.fmin(own, left.amax(dim=1)) for left, own in zip(kept, labels, strict=True)
    )
    whole = {"given": weak, "union": torch.maximum(audio, visual), "audio": audio}[video]
    return Targets(whole, audio, visual, *kept)
