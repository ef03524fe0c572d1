"""Hybrid attention network, HAN (Tian, Li, Xu: Unified Multisensory Perception, ECCV 2020, section 4)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.foundation.settings import PartConfig
from avparse.models.attention import SegmentAttention, stack_masks
from avparse.models.output import Hidden


class HybridAttentionLayer(nn.Module):
    """Self-attention and cross-modal attention added to the input, then a feed-forward block; post-norm.

    One set of weights serves both modalities, and both read the layer's inputs (neither sees the other's update).
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.self_attention = SegmentAttention(width, heads, dropout)
        self.cross_attention = SegmentAttention(width, heads, dropout)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None, cross: bool) -> Tensor:
        """Map ``[2, B, T, D]`` (audio, visual) to the same shape.

        Args:
            x: both modalities.
            mask: ``[2, B, T]`` marks real segments.
            cross: add the cross-modal attention; without it each modality sees itself alone.
        """
        attended = self._drop(self.self_attention(x, mask, across=False))
        if cross:
            attended = attended + self._drop(self.cross_attention(x, mask, across=True))
        x = self.attention_norm(x + attended)
        forward = self.contract(self._drop(functional.relu(self.expand(x))))
        normed: Tensor = self.feedforward_norm(x + self._drop(forward))
        return normed

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class HANEncoder(nn.Module):
    """HAN: a stack of hybrid attention layers over the segments of both modalities, without positional code."""

    class Config(PartConfig):
        """Settings of the encoder.

        Attributes:
            chain: feed each layer with the previous one's output. The released HAN code feeds every layer with the
                stem's output instead, so that only the last layer acts (``chain: false``; no difference at depth 1).
        """

        name: Literal["han"] = "han"
        layers: int = Field(1, ge=1)
        heads: int = Field(1, ge=1)
        feedforward: int = Field(512, ge=1)
        dropout: float = Field(0.1, ge=0, lt=1)
        chain: bool = True

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.chain = config.chain
        self.layers = nn.ModuleList(
            HybridAttentionLayer(width, config.heads, config.feedforward, config.dropout) for _ in range(config.layers)
        )

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode ``[B, T, D]`` a modality into the same shapes; without ``cross`` neither sees the other."""
        x = torch.stack((stem.audio, stem.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        encoded = x
        for layer in self.layers:
            encoded = layer(encoded if self.chain else x, mask, cross)
        return Hidden(audio=encoded[0], visual=encoded[1])
