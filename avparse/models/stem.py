"""From feature streams to one vector a segment and modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.features import Features
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.settings import PartConfig
from avparse.models.output import Hidden


class LinearStem(nn.Module):
    """A linear map a stream; several streams of a modality are concatenated and fused by one more linear map.

    The stem of HAN and most systems after it. There is no activation, so frames may be averaged within a segment
    before the first map instead of after it.
    """

    class Config(PartConfig):
        """Settings of the stem.

        Attributes:
            audio, visual: names of the streams of each modality, in the order of their concatenation.
            standardize: subtract the training split's mean and divide by its deviation, feature by feature. For
                features that were not made by a normalised network.
        """

        name: Literal["linear"] = "linear"
        width: int = Field(512, ge=1)
        audio: tuple[str, ...] = ("audio",)
        visual: tuple[str, ...] = ("frames", "clips")
        standardize: bool = False

    def __init__(self, config: Config, streams: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        for name in (*config.audio, *config.visual):
            if name not in streams:
                raise UserError(f"stem: the data have no stream '{name}'{nearest(name, streams)}")
        self.maps = nn.ModuleDict({s: nn.Linear(streams[s], config.width) for s in (*config.audio, *config.visual)})
        self.fusions = nn.ModuleDict(
            {
                modality: nn.Linear(len(names) * config.width, config.width)
                for modality, names in (("audio", config.audio), ("visual", config.visual))
                if len(names) > 1
            }
        )
        if config.standardize:
            for name in self.maps:
                self.register_buffer(f"{name}_mean", torch.zeros(streams[name]))
                self.register_buffer(f"{name}_deviation", torch.ones(streams[name]))

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` must be called before training."""
        return self.config.standardize

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream; only with ``standardize``."""
        for name in self.maps:
            mean, deviation = statistics[name]
            self.get_buffer(f"{name}_mean").copy_(mean)
            self.get_buffer(f"{name}_deviation").copy_(deviation.clamp_min(1e-6))

    def forward(self, features: Features) -> Hidden:
        """Map the streams ``[B, T, D_s]`` to ``[B, T, width]`` a modality."""
        return Hidden(
            audio=self._modality(features, "audio", self.config.audio),
            visual=self._modality(features, "visual", self.config.visual),
        )

    def _modality(self, features: Features, modality: str, names: tuple[str, ...]) -> Tensor:
        mapped: list[Tensor] = [self.maps[name](self._stream(features, name)) for name in names]
        if len(mapped) == 1:
            return mapped[0]
        fused: Tensor = self.fusions[modality](torch.cat(mapped, dim=-1))
        return fused

    def _stream(self, features: Features, name: str) -> Tensor:
        x = features.streams[name]
        if not self.config.standardize:
            return x
        standardised: Tensor = (x - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_deviation")
        return standardised


STEMS: dict[str, type[LinearStem]] = {"linear": LinearStem}
