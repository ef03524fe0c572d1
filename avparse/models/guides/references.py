"""The reference networks of CoLeaF (Sardari et al., ECCV 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig
from avparse.models.guides.unimodal import UnimodalConfig, UnimodalParser
from avparse.models.output import Guidance, Hidden


class ReferenceGuides(nn.Module):
    """One :class:`UnimodalParser` per modality, with a stem of its own, like the parser's but without activation.

    As each reads only its modality, they predict its events without being misled by the other one, and with their class
    tokens they learn which classes co-occur. The parser learns both from them, at no cost once it is trained.
    """

    class Config(PartConfig):
        """Settings of the guides ``references``, which are those of both unimodal parsers."""

        name: Literal["references"] = "references"
        heads: int = Field(1, ge=1)
        feedforward: int = Field(512, ge=1)
        dropout: float = Field(0.1, ge=0, lt=1)
        head_dropout: float = Field(0.5, ge=0, lt=1)

    def __init__(self, config: Config, stem: PartConfig, spec: TaskSpec) -> None:
        super().__init__()
        settings = config.model_dump(exclude={"name"}) | {"stem": stem.model_copy(update={"activation": "none"})}
        self.audio = UnimodalParser(UnimodalConfig(of="audio", **settings), spec)
        self.visual = UnimodalParser(UnimodalConfig(of="visual", **settings), spec)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, if the stem uses them."""
        self.audio.calibrate(statistics)
        self.visual.calibrate(statistics)

    def forward(self, features: Features) -> Guidance:
        """Return the networks' predictions; zero for a modality that is absent."""
        heard, seen = self.audio(features), self.visual(features)
        return Guidance(
            probabilities=torch.stack((heard.audio, seen.visual)),
            tokens=torch.stack((heard.tokens[0], seen.tokens[1])),
            hidden=Hidden(heard.hidden.audio, seen.hidden.visual),
        )
