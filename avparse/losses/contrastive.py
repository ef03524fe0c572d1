"""Contrastive loss between the audio and the visual segments of one video (InfoNCE, "+CL" in the papers)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput

Form = Literal["ma", "jomold"]


class SegmentContrast:
    """Each audio segment identifies the visual segment of the same time within its video, by cosine similarity.

    Two forms were published (Wu, Yang: Exploring Heterogeneous Clues, CVPR 2021; Cheng et al.: Joint-Modal Label
    Denoising, ECCV 2022, in their released codes):

    * ``ma`` compares encoded audio with the visual *stem* and sums the logarithms;
    * ``jomold`` compares both as encoded, before any dropout of the decoder, and takes the logarithm of the sum, which
      bounds the loss of a segment by ``log((n - 1) / (1 - keep))`` for n segments.
    """

    class Config(LossConfig):
        """Settings of the loss ``segment_contrast``.

        Attributes:
            form: published form of the loss, ``ma`` or ``jomold``, as described for the class.
            temperature: divisor of the cosine similarities.
            keep: share of the target on the segment of the same time; the other segments share the rest equally.
        """

        name: Literal["segment_contrast"] = "segment_contrast"
        form: Form
        temperature: float = Field(0.2, gt=0)
        keep: float = Field(0.9, gt=0, le=1)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "contrast"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser does not return the representations that the form compares.
        """
        hidden, seen = output.hidden, output.stem if self.config.form == "ma" else output.hidden
        if hidden is None or seen is None:
            raise UserError("loss 'segment_contrast': the parser returns no hidden segments (or stem); leave it out")
        audio, visual = (functional.normalize(x.float(), dim=-1) for x in (hidden.audio, seen.visual))
        similarities = audio @ visual.transpose(1, 2) / self.config.temperature
        features = batch.features
        return contrast(similarities, self.config.keep, self.config.form, features.audio_mask, features.visual_mask)


def contrast(
    similarities: Tensor,
    keep: float,
    form: Form,
    audio_mask: Tensor | None = None,
    visual_mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the smoothed InfoNCE of audio (rows) against visual segments (columns), mean over the rows that count.

    A row counts where its segment exists in both modalities and there is another visual segment to tell it from;
    absent columns are no negatives. Without any such row the loss is zero.

    Args:
        similarities: cosine similarities ``[B, T, T]``, already divided by the temperature.
        keep: share of each row's target that lies on the diagonal.
        form: reduction over the target: ``ma`` is minus the target's sum of logarithms, ``jomold`` minus the logarithm
            of its sum.
        audio_mask: ``[B, T]`` boolean, True where the audio segment exists; None if all exist.
        visual_mask: ``[B, T]`` boolean, True where the visual segment exists; None if all exist.
        weights: weight ``[B]`` of each video's rows; the mean is still over all rows that count.
    """
    everywhere = torch.ones(similarities.shape[:2], dtype=torch.bool, device=similarities.device)
    columns = everywhere if visual_mask is None else visual_mask
    count = columns.sum(dim=-1)  # [B]
    rows = columns & (count > 1)[:, None]
    if audio_mask is not None:
        rows = rows & audio_mask
    rest = (1 - keep) / (count - 1).clamp_min(1)
    same = torch.eye(similarities.shape[1], dtype=torch.bool, device=similarities.device)
    target = (columns * rest[:, None])[:, None, :].masked_fill(same, keep)  # [B, T, T]
    logarithms = similarities.masked_fill(~columns[:, None, :], torch.finfo(similarities.dtype).min).log_softmax(dim=-1)
    each = -(target * logarithms).sum(dim=-1) if form == "ma" else -(target.log() + logarithms).logsumexp(dim=-1)
    if weights is not None:
        each = each * weights[:, None]
    # torch.where instead of a product, because the values in rows that do not count are huge.
    mean: Tensor = torch.where(rows, each, 0.0).sum() / rows.sum().clamp_min(1)
    return mean
