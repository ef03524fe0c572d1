"""Cross-entropy on segment labels, and helpers that other segment-level losses share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput


class SegmentCrossEntropy:
    """Binary cross-entropy of the segments of one modality, mean over existing segments and classes (VALOR, section 3).

    It reads the logits where the parser returns them. An unknown label (NaN) costs nothing.
    """

    class Config(LossConfig):
        """Settings of the loss ``segment_bce``: ``of`` names the modality whose segments are compared."""

        name: Literal["segment_bce"] = "segment_bce"
        of: Literal["audio", "visual"]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"segment_bce_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: there are no segment labels of this modality.
        """
        of = self.config.of
        target = segment_targets(targets, of)
        unknown = target.isnan()
        target = target.masked_fill(unknown, 0)
        logits: Tensor | None = getattr(output, f"{of}_logits")
        if logits is not None:
            each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        else:
            each = cross_entropy(getattr(output, f"{of}_segments"), target)
        return real_mean(each.masked_fill(unknown, 0).mean(dim=-1), getattr(batch.features, f"{of}_mask"))


def segment_targets(targets: Targets, of: str) -> Tensor:
    """Return the segment targets ``[B, T, C]`` of a modality; NaN where the label is unknown.

    Raises:
        UserError: there are no segment targets of the modality.
    """
    target: Tensor | None = getattr(targets, f"{of}_segments")
    if target is None:
        raise UserError(f"this loss reads {of} segment labels, but there are none; name a source of pseudo labels")
    return target


def real_mean(each: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of ``[B, T]`` (or ``[B]``) over the entries that ``mask`` marks; over all where it is None."""
    if mask is None:
        return each.mean()
    real = mask.to(each.dtype)
    mean: Tensor = torch.where(mask, each, 0).sum() / real.sum().clamp_min(1)
    return mean


def has_modality(batch: Batch, of: str) -> Tensor | None:
    """Return ``[B]``, whether each video has the modality in any segment; None if all have it."""
    mask: Tensor | None = getattr(batch.features, f"{of}_mask")
    return None if mask is None else mask.any(dim=-1)
