"""The encoder of AVSDN (Lin, Li, Wang: Dual-modality Seq2Seq Network for Event Localization, ICASSP 2019)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.layers.recurrent import SegmentLSTM, direction
from avparse.models.output import Hidden


class AVSDNEncoder(nn.Module):
    """One LSTM per modality reads its segments; the fused last states start an LSTM that reads both modalities.

    The last states of the two reading LSTMs are rectified and fused: with two small networks U and V, ``m = (U(a) +
    V(v)) / 2`` and the initial state is ``(tanh(a + m) + tanh(v + m)) / 2``, for outputs and cells alike. The LSTM with
    that initial state reads the concatenated audio and visual segments; its outputs are the encoding of both
    modalities.

    A segment without one modality is read with zeros in its place, and a modality that is absent altogether has the
    state zero. Without ``cross`` each modality is encoded as if the other were absent.
    """

    class Config(PartConfig):
        """Settings of the encoder ``avsdn``.

        Attributes:
            fusion: inner width of the networks U and V. A direction of an LSTM has half of the stem's width.
        """

        name: Literal["avsdn"] = "avsdn"
        fusion: int = Field(128, ge=1)

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        size = direction(width, config.name)
        self.read_audio, self.read_visual = (SegmentLSTM(width, size) for _ in MODALITIES)
        self.hear, self.see = (
            nn.Sequential(nn.Linear(size, config.fusion), nn.Tanh(), nn.Linear(config.fusion, size)) for _ in MODALITIES
        )
        self.join = SegmentLSTM(2 * width, size)

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode both modalities, each ``[B, T, D]`` to the same shape; without ``cross`` each is encoded by itself."""
        if cross:
            joined = self._joined(stem, audio_mask, visual_mask)
            return Hidden(joined, joined)
        nothing = torch.zeros(stem.audio.shape[:2], dtype=torch.bool, device=stem.audio.device)
        return Hidden(self._joined(stem, audio_mask, nothing), self._joined(stem, nothing, visual_mask))

    def _joined(self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None) -> Tensor:
        """Return both modalities concatenated, ``[B, T, D]``, zero where both are absent."""
        masks = (audio_mask, visual_mask)
        given = [
            x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)
            for x, mask in zip((stem.audio, stem.visual), masks, strict=True)
        ]
        (heard, heard_cell), (seen, seen_cell) = (
            read.run(x, mask)[1]
            for read, x, mask in zip((self.read_audio, self.read_visual), given, masks, strict=True)
        )
        start = self._fused(heard, seen), self._fused(heard_cell, seen_cell)
        either = None if audio_mask is None or visual_mask is None else audio_mask | visual_mask
        return self.join.run(torch.cat(given, dim=-1), either, start)[0]

    def _fused(self, audio: Tensor, visual: Tensor) -> Tensor:
        audio, visual = audio.relu(), visual.relu()
        both = (self.hear(audio) + self.see(visual)) / 2
        fused: Tensor = ((audio + both).tanh() + (visual + both).tanh()) / 2
        return fused
