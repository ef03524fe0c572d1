"""Attentive multimodal multiple-instance pooling, MMIL (Tian, Li, Xu, ECCV 2020, equations 5 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import masked_softmax, stack_masks
from avparse.models.layers.dropout import drop
from avparse.models.output import Hidden, ParserOutput


class MMILDecoder(nn.Module):
    """Segment probabilities from a linear layer, video probabilities as attention-weighted means of them.

    Three linear maps, shared by the modalities, read each encoded segment: class logits, temporal pooling weights and
    modality pooling weights. They are stored as one matrix ``[3C, H]`` in that order.
    """

    class Config(PartConfig):
        """Settings of the decoder ``mmil``: dropout of the encoded visual segments before the heads (JoMoLD: 0.5)."""

        name: Literal["mmil"] = "mmil"
        visual_dropout: float = Field(0.0, ge=0, lt=1)

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.visual_dropout = config.visual_dropout
        self.heads = nn.Linear(width, 3 * len(classes))

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode encoded segments ``[B, T, H]`` of both modalities into probabilities of C classes."""
        visual = drop(hidden.visual, self.visual_dropout, self.training)
        x = torch.stack((hidden.audio, visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        # In float32 for any precision of the encoder, because probabilities near one need the digits.
        logits, over_time, over_modality = self.heads(x).float().chunk(3, dim=-1)  # each [2, B, T, C]
        return pool(logits, over_time, over_modality, mask, hidden)

    def time_logits(self, hidden: Hidden) -> Tensor:
        """Return the logits ``[2, B, T, C]`` of the temporal pooling weights."""
        logits: Tensor = self.heads(torch.stack((hidden.audio, hidden.visual))).float().chunk(3, dim=-1)[1]
        return logits


def pool(logits: Tensor, over_time: Tensor, over_modality: Tensor, mask: Tensor | None, hidden: Hidden) -> ParserOutput:
    """Pool segment probabilities into video probabilities.

    Args:
        logits: class logits ``[2, B, T, C]`` of the segments.
        over_time: logits ``[2, B, T, C]`` of the weights over the segments of a modality.
        over_modality: logits ``[2, B, T, C]`` of the weights over the modalities of a segment.
        mask: existing segments ``[2, B, T]``; None if all exist.
        hidden: encoded segments that the logits were read from; they are passed on in the output.
    """
    segments = logits.sigmoid()
    real = None if mask is None else mask.unsqueeze(-1)
    time_weights = masked_softmax(over_time, real, dim=2)
    modality_weights = masked_softmax(over_modality, real, dim=0)
    if real is not None:
        segments = segments * real
    weighted = time_weights * segments
    audio, visual = weighted.sum(dim=2)
    return ParserOutput(
        audio_segments=segments[0],
        visual_segments=segments[1],
        audio=audio,
        visual=visual,
        video=(weighted * modality_weights).sum(dim=(0, 2)),
        audio_logits=logits[0],
        visual_logits=logits[1],
        hidden=hidden,
        time_logits=over_time,
    )
