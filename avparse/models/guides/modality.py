"""The modality-wise guides of DHHN (Jiang et al., ACM MM 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig, build
from avparse.models.layers.attention import masked_softmax
from avparse.models.output import Guidance
from avparse.models.stem import STEMS, LinearStem

Layers = Annotated[int, Field(ge=1)]


class GuidesConfig(PartConfig):
    """Settings of the guides ``modality``.

    Attributes:
        audio_layers, visual_layers: number of attention layers of each guide.
        audio_rounds, visual_rounds: number of times that a guide applies its layers; each round adds to its input.
    """

    name: Literal["modality"] = "modality"
    heads: int = Field(8, ge=1)
    feedforward: int = Field(512, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    audio_layers: Layers = 1
    audio_rounds: Layers = 4
    visual_layers: Layers = 2
    visual_rounds: Layers = 3


class ModalityGuides(nn.Module):
    """One guide per modality, with a stem of its own; neither ever reads the other modality."""

    Config = GuidesConfig

    def __init__(self, config: GuidesConfig, stem: PartConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.audio = ModalityGuide("audio", config, config.audio_layers, config.audio_rounds, stem, spec)
        self.visual = ModalityGuide("visual", config, config.visual_layers, config.visual_rounds, stem, spec)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, if the stem uses them."""
        for guide in (self.audio, self.visual):
            guide.stem.calibrate(statistics)

    def forward(self, features: Features) -> Guidance:
        """Return what the guides say of the videos; zero for a modality that is absent."""
        predicted = self.audio(features, features.audio_mask), self.visual(features, features.visual_mask)
        return Guidance(torch.stack(predicted))


class ModalityGuide(nn.Module):
    """Stem, repeated self-attention, and attentive pooling over time."""

    def __init__(
        self, of: str, config: GuidesConfig, layers: int, rounds: int, stem: PartConfig, spec: TaskSpec
    ) -> None:
        super().__init__()
        self.of, self.rounds = of, rounds
        other = "visual" if of == "audio" else "audio"
        self.stem: LinearStem = build(STEMS, stem.model_copy(update={other: ()}), spec.streams)
        width = self.stem.width
        layer = nn.TransformerEncoderLayer(width, config.heads, config.feedforward, config.dropout, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.heads = nn.Linear(width, 2 * len(spec.classes))  # class logits and temporal pooling weights

    def forward(self, features: Features, mask: Tensor | None) -> Tensor:
        """Return the probabilities ``[B, C]`` that the modality contains the classes."""
        x = self.stem.modality(features, self.of)
        # Attention to nothing is NaN, so where a modality is absent all segments may be read; the result is not
        # used.
        absent = None if mask is None else ~mask & mask.any(dim=1, keepdim=True)
        for _ in range(self.rounds):
            x = x + self.layers(x, src_key_padding_mask=absent)
        logits, over_time = self.heads(x).float().chunk(2, dim=-1)
        weights = masked_softmax(over_time, None if mask is None else mask.unsqueeze(-1), dim=1)
        pooled: Tensor = (weights * logits.sigmoid()).sum(dim=1)
        return pooled
