"""The recurrent encoder of AVE (Tian et al.: Audio-Visual Event Localization in Unconstrained Videos, ECCV 2018)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.settings import PartConfig
from avparse.models.layers.recurrent import SegmentLSTM, direction
from avparse.models.output import Hidden


class LSTMEncoder(nn.Module):
    """One bidirectional LSTM per modality, without any exchange between the modalities."""

    class Config(PartConfig):
        """Settings of the encoder ``lstm``; it has none, because a direction has half of the stem's width."""

        name: Literal["lstm"] = "lstm"

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.read = nn.ModuleList(SegmentLSTM(width, direction(width, config.name)) for _ in MODALITIES)

    def forward(
        self, stem: Hidden, audio_mask: Tensor | None, visual_mask: Tensor | None, cross: bool = True
    ) -> Hidden:
        """Encode both modalities, each ``[B, T, D]`` to the same shape."""
        return Hidden(audio=self.read[0](stem.audio, audio_mask), visual=self.read[1](stem.visual, visual_mask))
