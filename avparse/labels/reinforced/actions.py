"""Actions of a label policy: keep or drop each given label, in each modality (RLLD, arXiv 2412.19563, section 3.2).

An action is one Bernoulli draw a class, with the probability of *keeping* ``sigmoid(logit)``. Only the draws of given
labels have an effect. A draw that would drop every label of a video in a modality violates the rule that a label set
is never empty; the environment then leaves the given labels as they are. The log-probability is that of the draw,
whatever the environment makes of it.

In all functions ``logits`` is ``[..., B, C]``, usually ``[2, B, C]`` (audio, visual), and ``labels``, the given
labels, 0 or 1 of any type, broadcasts against it, usually ``[B, C]``.
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
    """What was drawn, and what became of the labels.

    Attributes:
        keep: ``[..., B, C]`` boolean, the draw; True = keep.
        labels: ``[..., B, C]`` the revised labels, in the type of the given ones.
        violated: ``[..., B]`` boolean, the draw would have dropped every given label, so all of them stayed.
    """

    keep: Tensor
    labels: Tensor
    violated: Tensor


def sample(logits: Tensor, labels: Tensor, generator: torch.Generator, may_empty: bool = False) -> Actions:
    """Draw actions; the state of ``generator`` determines them.

    Args:
        logits: of keeping.
        labels: given labels.
        generator: on any device.
        may_empty: allow draws that leave no label.
    """
    draw = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits.device)
    return act(draw < logits.detach().float().sigmoid(), labels, may_empty)


def greedy(logits: Tensor, labels: Tensor, threshold: float = 0.5, may_empty: bool = False) -> Actions:
    """Decide without chance: keep what is kept with a probability of at least ``threshold``.

    Args:
        logits: of keeping.
        labels: given labels.
        threshold: inclusive.
        may_empty: allow that no label is left.
    """
    return act(logits.detach().float().sigmoid() >= threshold, labels, may_empty)


def act(keep: Tensor, labels: Tensor, may_empty: bool = False) -> Actions:
    """Apply the draw ``keep`` to the given labels; see :class:`Actions`."""
    revised = labels * keep
    keep, labels = keep.expand_as(revised), labels.expand_as(revised)
    violated = labels.bool().any(dim=-1) & ~revised.bool().any(dim=-1) & (not may_empty)
    return Actions(keep, torch.where(violated.unsqueeze(-1), labels, revised), violated)


def repair_union(actions: Actions, logits: Tensor, labels: Tensor) -> Actions:
    """Give each label that both modalities dropped back to the one that is more probable to keep it (ties: audio).

    With it the union of the modalities is again the given label set, as weak labels are seldom wrong in both.

    Args:
        actions: of both modalities, the first axis of every attribute being audio, visual.
        logits: ``[2, ..., B, C]`` of keeping.
        labels: given labels.

    Returns:
        The same draws with repaired labels.
    """
    lost = labels.bool() & ~actions.labels.bool().any(dim=0)
    audio = logits[0] >= logits[1]
    return replace(actions, labels=torch.where(lost & torch.stack((audio, ~audio)), labels, actions.labels))


def log_probability(logits: Tensor, keep: Tensor, labels: Tensor, all_classes: bool = False) -> Tensor:
    """Return the log-probability ``[..., B]`` of the draw ``keep``, differentiable in the logits.

    Args:
        logits: of keeping.
        keep: the draw.
        labels: given labels; the draws of all other classes are left out, since they have no effect and would only
            add variance to the gradient.
        all_classes: sum over every class nevertheless, as the paper's formula reads.
    """
    each = functional.logsigmoid(torch.where(keep, logits, -logits))
    return (each if all_classes else each * labels).sum(dim=-1)


def sampled_targets(
    labels: Tensor,
    weak: Tensor,
    segments: Sequence[Tensor | None],
    video: Literal["given", "union", "audio"],
) -> Targets:
    """Return what sampled labels ask for, unsmoothed; what they drop is dropped in every segment.

    Args:
        labels: ``[2, B, C]``, audio and visual.
        weak: ``[B, C]``, the labels as given.
        segments: pseudo labels ``[B, T, C]`` of audio and visual; where there are any, a label is at most its highest,
            if all are known.
        video: the video's target, as in the final training: as given, the modalities' union, or audio.
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
