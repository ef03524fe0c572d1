"""Encoder of CPSP as released for parsing (Zhou, Guo, Wang: Contrastive Positive Sample Propagation, TPAMI 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.layers.dropout import drop
from avparse.models.layers.recurrent import SegmentLSTM, direction
from avparse.models.output import Hidden


class CPSPEncoder(nn.Module):
    """One LSTM per modality, then positive sample propagation (PSP) between segments that are similar enough.

    The similarity of a visual and an audio segment is the rectified product of their projections. For each segment the
    similarities to the other modality are normalised to sum to one; those at or below a threshold are set to zero, and
    the rest are normalised again. With these weights each segment receives projections of the other modality's
    segments; a rectified linear map per modality and one shared normalisation follow.

    A padded or absent segment sends nothing. Without ``cross`` nothing is propagated: each modality is encoded exactly
    as in a video in which the other one is absent.
    """

    class Config(PartConfig):
        """Settings of the encoder ``cpsp``.

        Attributes:
            threshold: weight below which a segment is ignored, in units of the uniform weight, 1 / (segments of the
                other modality): the published 0.09 for ten segments is 0.9 for any number.
            dropout: dropout probability of the projections and of the last maps.
        """

        name: Literal["cpsp"] = "cpsp"
        threshold: float = Field(0.9, ge=0)
        dropout: float = Field(0.1, ge=0, lt=1)

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.threshold, self.dropout = config.threshold, config.dropout
        self.read = nn.ModuleList(SegmentLSTM(width, direction(width, config.name)) for _ in MODALITIES)
        self.project = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in MODALITIES)
        self.merge = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in MODALITIES)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for linear in (*self.project, *self.merge):  # as released: each square matrix is initialised separately
            for square in linear.weight.split(width):
                nn.init.xavier_uniform_(square)

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode both modalities, each ``[B, T, D]`` to the same shape; without ``cross`` each is encoded by itself."""
        given = zip(self.read, (stem.audio, stem.visual), (audio_mask, visual_mask), strict=True)
        audio, visual = (read(x, mask) for read, x, mask in given)
        if cross:
            # Each modality has two projections: one is compared, and sent by audio; the other is sent by
            # visual.
            sent_visual, compared_visual = self._projections(1, visual)
            compared_audio, sent_audio = self._projections(0, audio)
            similarity = (
                compared_visual @ compared_audio.transpose(1, 2) * audio.shape[-1] ** -0.5
            ).relu()  # [B, V, A]
            seen = self._shares(similarity, audio_mask) @ sent_audio
            heard = self._shares(similarity.transpose(1, 2), visual_mask) @ sent_visual
            audio, visual = audio + heard, visual + seen
        merged = (self._drop(merge(x).relu()) for merge, x in zip(self.merge, (audio, visual), strict=True))
        return Hidden(*(self.norm(x) for x in merged))

    def _projections(self, modality: int, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self._drop(self.project[modality](x).relu()).chunk(2, dim=-1)
        return first, second

    def _shares(self, similarity: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weights ``[B, Q, K]`` of the other modality's segments; ``mask`` marks the existing ones."""
        if mask is None:
            count: int | Tensor = similarity.shape[-1]
        else:
            similarity = similarity * mask.unsqueeze(1)
            count = mask.sum(dim=1).clamp_min(1).view(-1, 1, 1)
        even = functional.normalize(similarity, p=1, dim=-1, eps=1e-8)
        return functional.normalize(torch.where(even > self.threshold / count, even, 0.0), p=1, dim=-1, eps=1e-8)

    def _drop(self, x: Tensor) -> Tensor:
        return drop(x, self.dropout, self.training)
