"""The ten metrics as a ``torchmetrics.Metric``, for training on several devices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from avparse.evaluation.parsing import METRICS, Binary, score_parsing
from avparse.foundation.errors import UserError


class ParsingMetric(Metric):
    """Accumulates the metrics of :func:`avparse.evaluation.parsing.score_parsing` over batches and ranks.

    Every metric is a mean over videos, so only sums over videos and their number are accumulated. The result does not
    depend on how the videos are split over batches and ranks, except for rounding in float64. A sampler that repeats
    videos to even out the ranks counts them twice.

    Args:
        iou: smallest intersection over union at which an event matches.
        **kwargs: options that are passed on to ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    total: Tensor
    videos: Tensor

    def __init__(self, iou: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.iou = iou
        self.add_state("total", torch.zeros(len(METRICS), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("videos", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        audio_pred: Binary,
        visual_pred: Binary,
        audio_true: Binary,
        visual_true: Binary,
        mask: Binary | None = None,
    ) -> None:
        """Add videos: decisions and truth ``[N, T, C]`` and the mask ``[N, T]``; T may differ between calls.

        Raises:
            UserError: the arrays are not accepted by :func:`avparse.evaluation.parsing.score_parsing`.
        """
        per_video = score_parsing(audio_pred, visual_pred, audio_true, visual_true, mask, self.iou).per_video
        self.total += torch.from_numpy(per_video.sum(axis=0)).to(self.total.device)
        self.videos += len(per_video)

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics in percent over all videos added so far.

        Raises:
            UserError: no video was added.
        """
        if self.videos == 0:
            raise UserError("nothing to score: no video was added; call update first")
        return dict(zip(METRICS, 100 * self.total / self.videos, strict=True))
