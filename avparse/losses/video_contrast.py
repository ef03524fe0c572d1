"""Contrastive loss between videos: those with the same events are similar (Zhou et al., CPSP, TPAMI 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Features, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.models.layers.attention import stack_masks
from avparse.models.output import Hidden, ParserOutput


class VideoContrast:
    """Video-level positive sample activation: each video is nearer to its positives than to its negatives.

    A video is represented by the mean of its encoded segments of both modalities. Another video of the batch is a
    *positive* if it has at least the share ``overlap`` of the video's labels (the relation is not symmetric), a
    *negative* if they have no label in common, and neither otherwise; a video is a positive of itself. With P and N the
    means of exp(cosine / temperature) over positives and negatives, the loss of a video is -log(P / (P + N)).

    Segments that do not exist do not count. Videos without a negative in the batch, or without a label, do not count.
    """

    class Config(LossConfig):
        """Settings of the loss ``video_contrast``.

        Attributes:
            overlap: share of a video's labels that its positives must have.
            temperature: divisor of the cosines.
            skip: scope that is left out where a video has no negative in its batch: that ``video``, or the whole
                ``batch``, which is what the released code does.
        """

        name: Literal["video_contrast"] = "video_contrast"
        overlap: float = Field(0.9, gt=0, le=1)
        temperature: float = Field(0.2, gt=0)
        skip: Literal["video", "batch"] = "video"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "video_contrast"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser returns no hidden segments.
        """
        if output.hidden is None:
            raise UserError("loss 'video_contrast': the parser returns no hidden segments; leave it out")
        videos = functional.normalize(_mean_segment(output.hidden, batch.features), dim=-1)
        logits = videos @ videos.T / self.config.temperature
        labels = (targets.video > 0.5).to(logits.dtype)
        shared, own = labels @ labels.T, labels.sum(dim=-1)  # [B, B], [B]
        positive = shared >= self.config.overlap * own.unsqueeze(-1) - 1e-6  # tolerates rounding
        negative = shared == 0
        opposed = negative.any(dim=-1)
        counted = opposed & (own > 0)
        if self.config.skip == "batch":
            counted = counted & opposed.all()
        # No set may be empty even in a row that does not count, or its gradient would be NaN.
        idle = ~counted.unsqueeze(-1)
        each = functional.softplus(_log_mean(logits, negative | idle) - _log_mean(logits, positive | idle))
        mean: Tensor = (each * counted).sum() / counted.sum().clamp_min(1)
        return mean


def _mean_segment(hidden: Hidden, features: Features) -> Tensor:
    """Return the mean ``[B, H]`` of the encoded segments of both modalities that exist."""
    x = torch.cat((hidden.audio, hidden.visual), dim=1).float()
    mask = stack_masks(features.audio_mask, features.visual_mask, torch.stack((hidden.audio, hidden.visual)))
    if mask is None:
        return x.mean(dim=1)
    real = torch.cat((mask[0], mask[1]), dim=1).unsqueeze(-1)
    mean: Tensor = torch.where(real, x, 0).sum(dim=1) / real.sum(dim=1).clamp_min(1)
    return mean


def _log_mean(logits: Tensor, chosen: Tensor) -> Tensor:
    """Return the logarithm of the mean exponential over the chosen entries of each row; each row must have some."""
    return logits.masked_fill(~chosen, -torch.inf).logsumexp(dim=-1) - chosen.sum(dim=-1).log()
