"""Richness loss: the number of classes of a segment and the number of segments of a class (VAPLAN)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.labels.targets import Targets, cross_entropy
from avparse.losses.loss import LossConfig
from avparse.losses.segment import real_mean, segment_targets
from avparse.models.output import ParserOutput


class Richness:
    """Agreement of prediction and pseudo label in both kinds of richness (VAPLAN, arXiv 2406.00919).

    The category richness of a segment is the mean over classes, the segment richness of a class the mean over the
    video's segments. The paper states their names and their aim; taking the mean is our reading. Segments that lack the
    modality or have an unknown label do not count, and videos without any remaining segment do not count either.
    """

    class Config(LossConfig):
        """Settings of the loss ``richness``.

        Attributes:
            of: modality whose segments are compared.
            distance: function that compares the two richnesses; the paper does not say which one it uses.
        """

        name: Literal["richness"] = "richness"
        of: Literal["audio", "visual"]
        distance: Literal["bce", "mse"] = "bce"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = f"richness_{config.of}"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the sum of both distances.

        Raises:
            UserError: there are no segment labels of this modality.
        """
        target = segment_targets(targets, self.config.of)
        predicted: Tensor = getattr(output, f"{self.config.of}_segments")
        mask = _countable(target, getattr(batch.features, f"{self.config.of}_mask"))
        target = target.nan_to_num()
        of_segments = self._distance(predicted.mean(dim=-1), target.mean(dim=-1))  # [B, T]
        if mask is None:
            of_classes = self._distance(predicted.mean(dim=1), target.mean(dim=1))  # [B, C]
            return of_segments.mean() + of_classes.mean()
        count = mask.sum(dim=-1, keepdim=True)  # [B, 1]
        real, size = mask.unsqueeze(-1), count.clamp_min(1)
        sums = (torch.where(real, x, 0).sum(dim=1) / size for x in (predicted, target))
        return real_mean(of_segments, mask) + real_mean(self._distance(*sums), (count > 0).expand(-1, target.shape[-1]))

    def _distance(self, predicted: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(predicted, target) if self.config.distance == "bce" else (predicted - target).square()


def _countable(target: Tensor, mask: Tensor | None) -> Tensor | None:
    """Return ``[B, T]``, the segments of ``mask`` whose labels are all known; None if all segments count."""
    unknown = target.isnan().any(dim=-1)
    if not unknown.any():
        return mask
    return ~unknown if mask is None else mask & ~unknown
