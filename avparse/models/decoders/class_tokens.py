"""The decoder of CVCMS (Lin et al.: Exploring Cross-Video and Cross-Modality Signals, NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.decoders.mmil import pool
from avparse.models.encoders.han import HybridAttentionLayer
from avparse.models.layers.attention import stack_masks
from avparse.models.output import Hidden, ParserOutput


class ClassTokenDecoder(nn.Module):
    """The classes of a segment attend to each other before they are classified, so that co-occurrence is learned.

    Each segment of a modality becomes one vector per class. Within the segment the class vectors of a modality attend
    to themselves and to those of the other modality, in one hybrid attention layer for both. One linear map per
    modality, shared by all classes, gives the logits. Pooling is that of MMIL, with weights read from the encoded
    segments.
    """

    class Config(PartConfig):
        """Settings of the decoder ``class_tokens``.

        Attributes:
            size: number of values in a class vector.
            feedforward: inner width of the feed-forward block of the layer over classes.
            dropout: dropout probability in the layer over classes.
        """

        name: Literal["class_tokens"] = "class_tokens"
        size: int = Field(128, ge=1)
        heads: int = Field(1, ge=1)
        feedforward: int = Field(128, ge=1)
        dropout: float = Field(0.25, ge=0, lt=1)

    def __init__(self, config: Config, width: int, classes: Sequence[str]) -> None:
        super().__init__()
        self.size = config.size
        self.tokens = nn.ModuleList(nn.Linear(width, len(classes) * config.size) for _ in MODALITIES)
        self.layer = HybridAttentionLayer(
            config.size, config.heads, config.feedforward, config.dropout, order="parallel", norm="post"
        )
        self.occurs = nn.ModuleList(nn.Linear(config.size, 1) for _ in MODALITIES)
        self.weights = nn.Linear(width, 2 * len(classes))  # over time, over modalities

    def forward(self, hidden: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> ParserOutput:
        """Decode encoded segments ``[B, T, H]`` of both modalities into probabilities of C classes."""
        x = torch.stack((hidden.audio, hidden.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        made = [tokens(y).relu().flatten(0, 1) for tokens, y in zip(self.tokens, x, strict=True)]
        classes = torch.stack(made).view(2, len(made[0]), -1, self.size)  # [2, B T, C, size]
        real = None if mask is None else mask.flatten(1).unsqueeze(-1).expand(classes.shape[:3])
        attended = self.layer(classes, real, hidden.cross)
        logits = torch.stack([occurs(y).squeeze(-1) for occurs, y in zip(self.occurs, attended, strict=True)])
        over_time, over_modality = self.weights(x).float().chunk(2, dim=-1)
        return pool(logits.float().view(over_time.shape), over_time, over_modality, mask, hidden)

    def time_logits(self, hidden: Hidden) -> Tensor:
        """Return the logits ``[2, B, T, C]`` of the temporal pooling weights."""
        logits: Tensor = self.weights(torch.stack((hidden.audio, hidden.visual))).float().chunk(2, dim=-1)[0]
        return logits
