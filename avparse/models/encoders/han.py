"""Hybrid attention network, HAN (Tian, Li, Xu: Unified Multisensory Perception, ECCV 2020, section 4)."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.layers.attention import SegmentAttention, stack_masks
from avparse.models.layers.dropout import drop
from avparse.models.output import Hidden

Order = Literal["parallel", "sequential"]
Norm = Literal["post", "pre"]


class HybridAttentionLayer(nn.Module):
    """Self-attention and cross-modal attention are added to the input; a feed-forward block follows.

    One set of weights serves both modalities; :class:`HANEncoder.Config` describes ``order`` and ``norm``.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float, order: Order, norm: Norm) -> None:
        super().__init__()
        self.dropout, self.order, self.norm = dropout, order, norm
        self.self_attention = SegmentAttention(width, heads, dropout)
        self.cross_attention = SegmentAttention(width, heads, dropout)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None, cross: bool) -> Tensor:
        """Map ``[2, B, T, D]`` (audio, visual) to the same shape.

        Args:
            x: segments ``[2, B, T, D]`` of audio and visual.
            mask: existing segments ``[2, B, T]``; None if all exist.
            cross: whether to add the cross-modal attention; without it each modality attends to itself only.
        """
        read = self.attention_norm(x) if self.norm == "pre" else x
        attended = self._drop(self.self_attention(read, mask, across=False))
        if not cross:
            return self._finish(x, attended)
        if self.order == "parallel":
            return self._finish(x, attended + self._drop(self.cross_attention(read, mask, across=True)))
        of_audio, of_visual = (None, None) if mask is None else mask.unbind()
        # Keys and values are not normalised, even where the queries are.
        heard = self._drop(self.cross_attention.between(read[0], x[1], of_visual))
        audio = self._finish(x[0], attended[0] + heard)
        seen = self._drop(self.cross_attention.between(read[1], audio, of_audio))
        return torch.stack((audio, self._finish(x[1], attended[1] + seen)))

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add the attended values, and the feed-forward block."""
        if self.norm == "pre":
            x = x + attended
            return x + self._drop(self._feed(self.feedforward_norm(x)))
        x = self.attention_norm(x + attended)
        normed: Tensor = self.feedforward_norm(x + self._drop(self._feed(x)))
        return normed

    def _feed(self, x: Tensor) -> Tensor:
        fed: Tensor = self.contract(self._drop(functional.relu(self.expand(x))))
        return fed

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout, self.training)


class HANEncoder(nn.Module):
    """HAN: a stack of hybrid attention layers over the segments of both modalities, without positional encoding."""

    class Config(PartConfig):
        """Settings of the encoder ``han``.

        Attributes:
            chain: whether each layer reads the previous layer's output. The released HAN code feeds every layer with
                the stem's output instead, so that only the last layer acts (``chain: false``; no difference at depth
                1).
            order: order of cross-modal attention: ``parallel``: both modalities attend to the layer's input of the
                other; ``sequential``: audio first, then visual to the resulting audio (VALOR).
            norm: place of layer normalisation: ``post``: after each sum; ``pre``: before each added block, and once at
                the end of each modality (VALOR's option; with ``sequential`` only).
            alike: whether all layers start from the same weights (VALOR).
            unimodal_share: share of the encoding that comes from the unimodal pass of the same layers, without
                cross-modal attention (CMPAE: 0.2).
        """

        renamed: ClassVar[dict[str, str]] = {"alone": "unimodal_share"}
        name: Literal["han"] = "han"
        layers: int = Field(1, ge=1)
        heads: int = Field(1, ge=1)
        feedforward: int = Field(512, ge=1)
        dropout: float = Field(0.1, ge=0, lt=1)
        chain: bool = True
        order: Order = "parallel"
        norm: Norm = "post"
        alike: bool = False
        unimodal_share: float = Field(0.0, ge=0, lt=1)

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if self.norm == "pre" and self.order == "parallel":
                raise ValueError("norm 'pre' needs order 'sequential'")
            return self

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.chain, self.unimodal_share = config.chain, config.unimodal_share
        sizes = (width, config.heads, config.feedforward, config.dropout)
        self.layers = nn.ModuleList(
            HybridAttentionLayer(*sizes, config.order, config.norm) for _ in range(config.layers)
        )
        if config.alike:
            for layer in self.layers[1:]:
                layer.load_state_dict(self.layers[0].state_dict())
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in MODALITIES if config.norm == "pre")

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode both modalities, each ``[B, T, D]`` to the same shape; without ``cross`` each is encoded by itself."""
        x = torch.stack((stem.audio, stem.visual))
        mask = stack_masks(audio_mask, visual_mask, x)
        encoded = self._encode(x, mask, cross)
        if cross and self.unimodal_share:
            encoded = encoded.lerp(self._encode(x, mask, cross=False), self.unimodal_share)
        audio, visual = encoded
        return Hidden(audio=audio, visual=visual)

    def _encode(self, x: Tensor, mask: Tensor | None, cross: bool) -> Tensor:
        encoded = x
        for layer in self.layers:
            encoded = layer(encoded if self.chain else x, mask, cross)
        if not self.norms:
            return encoded
        return torch.stack([norm(y) for norm, y in zip(self.norms, encoded, strict=True)])
