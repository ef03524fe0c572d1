"""Contrastive loss between the audio and visual track of videos with a common label (CVCMS, NeurIPS 2021)."""

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
from avparse.models.layers.attention import masked_softmax
from avparse.models.output import Hidden, ParserOutput


class CrossVideoContrast:
    """Each video's audio identifies the visual tracks of the batch that share one of its labels.

    A modality of a video is represented by a weighted mean of its encoded segments. The weights are a softmax over time
    of the decoder's temporal pooling logits, summed over the video's labels in that modality. Where the parser mixes
    modalities of different videos (``parser.mixing``), the mixed videos take part as further audio and visual tracks.
    The target of an audio track is uniform over the visual tracks with a label in common; the loss is the mean
    cross-entropy. A class is a label of a modality if its target is at least one half. As in the released code, an
    audio track without any match adds nothing to the sum but counts in the mean. Absent modalities do not count.
    """

    class Config(LossConfig):
        """Settings of the loss ``cross_video_contrast``.

        Attributes:
            temperature: divisor of the cosine similarities.
        """

        name: Literal["cross_video_contrast"] = "cross_video_contrast"
        temperature: float = Field(1.0, gt=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "cross_video"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser returns no hidden segments, or its decoder has no temporal pooling weights.
        """
        if output.hidden is None or output.time_logits is None:
            raise UserError(
                "loss 'cross_video_contrast': the parser does not pool hidden segments over time; leave it out"
            )
        heard, seen = targets.audio >= 0.5, targets.visual >= 0.5
        audio_mask, visual_mask = batch.features.audio_mask, batch.features.visual_mask
        parts = [(output.hidden, output.time_logits, heard, seen, audio_mask, visual_mask)]
        if output.mixed is not None:
            who, mixed = output.mixed.partners, output.mixed
            foreign = None if visual_mask is None else visual_mask[who]
            parts.append((mixed.hidden, mixed.time_logits, heard, seen[who], audio_mask, foreign))
        sides = [_sides(*part) for part in parts]
        (audio, heard, sounds), (visual, seen, pictures) = (
            tuple(torch.cat(x) for x in zip(*side, strict=True)) for side in zip(*sides, strict=True)
        )
        logits = (audio @ visual.T / self.config.temperature).masked_fill(~pictures, torch.finfo(audio.dtype).min)
        match = (heard.float() @ seen.float().T > 0) & pictures
        target = match / match.sum(dim=1, keepdim=True).clamp_min(1)
        each = -(target * logits.log_softmax(dim=1)).sum(dim=1)
        mean: Tensor = torch.where(sounds, each, 0.0).sum() / sounds.sum().clamp_min(1)
        return mean


Side = tuple[Tensor, Tensor, Tensor]


def _sides(
    hidden: Hidden,
    time_logits: Tensor,
    heard: Tensor,
    seen: Tensor,
    audio_mask: Tensor | None,
    visual_mask: Tensor | None,
) -> tuple[Side, Side]:
    """Return for audio and visual: unit vectors ``[B, H]``, labels ``[B, C]`` and presence of the modality ``[B]``."""
    of_audio = _video(hidden.audio, time_logits[0], heard, audio_mask)
    of_visual = _video(hidden.visual, time_logits[1], seen, visual_mask)
    return of_audio, of_visual


def _video(x: Tensor, time_logits: Tensor, labels: Tensor, mask: Tensor | None) -> Side:
    over_time = (time_logits * labels.unsqueeze(1)).sum(dim=-1)  # [B, T]
    weights = masked_softmax(over_time, mask, dim=1)
    vector = functional.normalize((weights.unsqueeze(1) @ x.float()).squeeze(1), dim=-1)
    present = torch.ones(len(x), dtype=torch.bool, device=x.device) if mask is None else mask.any(dim=1)
    return vector, labels, present
