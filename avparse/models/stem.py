"""Stems: maps from feature streams to one vector per segment and modality."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.settings import PartConfig
from avparse.models.layers.guided import GuidedPooling
from avparse.models.output import Hidden

_log = logging.getLogger(__name__)


class LinearStem(nn.Module):
    """One linear map per stream; several streams of a modality are concatenated and fused by one more linear map.

    It is the stem of HAN and of most systems after it. Without activation, frames may be averaged within a segment
    before the first map instead of after it.
    """

    class Config(PartConfig):
        """Settings of the stem ``linear``.

        Attributes:
            audio, visual: names of the streams of each modality, in the order of their concatenation.
            standardize: whether to subtract the training split's mean and divide by its deviation, feature by feature;
                for features that were not made by a normalised network.
            activation: function that is applied after every map (``elu``: CMPAE, CoLeaF).
            rates: number of vectors per segment, by name of the streams that hold several, one after the other. They
                are averaged after their map.
            pooling: pooling of several vectors per segment: ``guided`` lets the segment's audio weigh those of a visual
                stream (AVE). Where no stream has several, it has no effect, and a warning says so.
        """

        name: Literal["linear"] = "linear"
        width: int = Field(512, ge=1)
        audio: tuple[str, ...] = ("audio",)
        visual: tuple[str, ...] = ("frames", "clips")
        standardize: bool = False
        activation: Literal["none", "elu"] = "none"
        rates: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
        pooling: Literal["mean", "guided"] = "mean"

    def __init__(self, config: Config, streams: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        for name in (*config.audio, *config.visual):
            if name not in streams:
                raise UserError(f"stem: the data have no stream '{name}'{nearest(name, streams)}")
        for name, rate in config.rates.items():
            if streams.get(name, rate) % rate:
                raise UserError(
                    f"stem: stream '{name}' has {streams[name]} numbers a segment, not {rate} equal vectors"
                )
        sizes = {s: streams[s] // config.rates.get(s, 1) for s in (*config.audio, *config.visual)}
        self.maps = nn.ModuleDict({name: nn.Linear(size, config.width) for name, size in sizes.items()})
        self.fusions = nn.ModuleDict(
            {
                modality: nn.Linear(len(names) * config.width, config.width)
                for modality, names in (("audio", config.audio), ("visual", config.visual))
                if len(names) > 1
            }
        )
        several = {
            s: config.rates[s] for s in config.visual if config.rates.get(s, 1) > 1 and config.pooling == "guided"
        }
        if config.pooling == "guided" and config.visual and not several:
            visual = ", ".join(config.visual)
            _say_once(f"guided pooling has no effect: parser.stem.rates gives {visual} one vector per segment")
        self.choices = nn.ModuleDict({name: GuidedPooling(config.width, rate) for name, rate in several.items()})
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

    def forward(self, features: Features, cross: bool = True) -> Hidden:
        """Map the streams ``[B, T, D_s]`` to ``[B, T, width]`` per modality; without ``cross`` audio guides nothing."""
        audio = self.modality(features, "audio")
        return Hidden(audio=audio, visual=self.modality(features, "visual", audio if cross else None))

    def modality(self, features: Features, of: str, guide: Tensor | None = None) -> Tensor:
        """Map the streams of one modality, ``audio`` or ``visual``, to ``[B, T, width]``; ``guide`` is the other."""
        mapped = [self._mapped(features, name, guide) for name in getattr(self.config, of)]
        return mapped[0] if len(mapped) == 1 else self._activate(self.fusions[of](torch.cat(mapped, dim=-1)))

    def _mapped(self, features: Features, name: str, guide: Tensor | None) -> Tensor:
        x, rate = self._stream(features, name), self.config.rates.get(name, 1)
        if rate == 1:
            return self._activate(self.maps[name](x))
        vectors = self._activate(self.maps[name](x.reshape(*x.shape[:-1], rate, -1)))
        if guide is None or name not in self.choices:
            return vectors.mean(dim=-2)
        chosen: Tensor = self.choices[name](vectors, guide, features.audio_mask)
        return chosen

    def _activate(self, x: Tensor) -> Tensor:
        return functional.elu(x) if self.config.activation == "elu" else x

    def _stream(self, features: Features, name: str) -> Tensor:
        x = features.streams[name]
        if not self.config.standardize:
            return x
        standardised: Tensor = (x - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_deviation")
        return standardised


@cache
def _say_once(text: str) -> None:
    """Warn once, however many parsers a program builds."""
    _log.warning(text)


def check_rates(weights: tuple[PartConfig, TaskSpec], data: tuple[PartConfig, TaskSpec], what: str) -> None:
    """Refuse weights that read the frames of a segment one by one where the data give their mean, or the reverse.

    Args:
        weights: settings of the parser that the weights belong to, and the data that it was made for.
        data: settings of the parser that is to have them, and the data that it will read.
        what: name of the weights or of the data in the error message.

    Raises:
        UserError: vectors of a stream that has several per segment in either would have another size.
    """
    rates = _rates(data[0]) | _rates(weights[0])
    for name in rates:
        if name not in weights[1].streams or name not in data[1].streams:
            continue  # a missing stream is told elsewhere
        own, other = (spec.streams[name] // _rates(parser).get(name, 1) for parser, spec in (weights, data))
        if own != other:
            raise UserError(
                f"{what}: the weights read vectors of {own} numbers from stream '{name}', the data give {other}; for "
                f"frames one by one import with 'avparse import llp --keep-frames' and set "
                f"parser.stem.rates={json.dumps(rates)}; for averaged frames give --set parser.stem.rates={{}} (train, "
                "import-checkpoint)"
            )


def _rates(parser: PartConfig) -> dict[str, int]:
    """Return how many vectors per segment a parser reads of which stream; none for a parser from elsewhere."""
    rates: dict[str, int] = getattr(getattr(parser, "stem", None), "rates", {})
    return rates


STEMS: dict[str, type[LinearStem]] = {"linear": LinearStem}
