"""The parser: stem, encoder, decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.models.decoders import DECODERS
from avparse.models.encoders import ENCODERS
from avparse.models.output import ParserOutput
from avparse.models.stem import STEMS, LinearStem


class ParserConfig(PartConfig):
    """The three parts of a composed parser, each by the name it has in its registry.

    Attributes:
        twins: two such parsers of different initialisation, whose outputs are averaged.
    """

    name: Literal["composed"] = "composed"
    stem: Annotated[PartConfig, *part_of(STEMS, "stem")]
    encoder: Annotated[PartConfig, *part_of(ENCODERS, "encoder")]
    decoder: Annotated[PartConfig, *part_of(DECODERS, "decoder")]
    twins: bool = False

    @property
    def audio(self) -> tuple[str, ...]:
        """Names of the streams that are sound."""
        names: tuple[str, ...] = self.stem.audio  # type: ignore[attr-defined]
        return names


class Parser(nn.Module):
    """Feature streams of a batch of videos -> probabilities of every class, segment and modality.

    Any number of segments and classes; in a padded batch the result for a video is what it is alone.

    Args:
        config: the parts.
        spec: classes, stream dimensions and segment length of the data.

    Raises:
        UserError: a part needs a stream that the data lack.
    """

    Config = ParserConfig

    def __init__(self, config: ParserConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.stem: LinearStem = build(STEMS, config.stem, spec.streams)
        self.encoder = build(ENCODERS, config.encoder, self.stem.width)
        self.decoder = build(DECODERS, config.decoder, self.stem.width, len(spec.classes))

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` wants the mean and deviation of the training streams."""
        return bool(self.stem.needs_statistics)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.stem.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse streams ``[B, T, D_s]``; see :class:`ParserOutput` for the shapes.

        Without ``cross`` neither modality sees the other (JoMoLD's pass for judging labels).
        """
        stem = self.stem(features)
        hidden = self.encoder(stem, features.audio_mask, features.visual_mask, cross)
        output: ParserOutput = self.decoder(hidden, features.audio_mask, features.visual_mask)
        return replace(output, stem=stem)


class TwinParser(nn.Module):
    """Two parsers that see the same videos; for co-teaching and agreement losses.

    The output is the mean of theirs, which is also what is decoded at the end; ``peers`` holds the two.
    """

    def __init__(self, config: ParserConfig, spec: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.first, self.second = Parser(config, spec), Parser(config, spec)

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` wants the mean and deviation of the training streams."""
        return self.first.needs_statistics

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.first.calibrate(statistics)
        self.second.calibrate(statistics)

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse with both; see :meth:`Parser.forward`."""
        a, b = self.first(features, cross), self.second(features, cross)
        return ParserOutput(
            audio_segments=(a.audio_segments + b.audio_segments) / 2,
            visual_segments=(a.visual_segments + b.visual_segments) / 2,
            audio=(a.audio + b.audio) / 2,
            visual=(a.visual + b.visual) / 2,
            video=(a.video + b.video) / 2,
            peers=(a, b),
        )


PARSERS: dict[str, Callable[[Any, TaskSpec], Any]] = {"composed": Parser}


def build_parser(config: PartConfig, spec: TaskSpec) -> Parser | TwinParser:
    """Return the parser that ``config`` names: ours, or any module with the ``forward`` of :class:`Parser`."""
    parser: Parser | TwinParser
    if isinstance(config, ParserConfig) and config.twins:
        parser = TwinParser(config, spec)
    else:
        parser = build(PARSERS, config, spec)
    # A module from outside need not know what only training and the parsing of files ask for.
    for name, value in (("spec", spec), ("needs_statistics", False)):
        if not hasattr(parser, name):
            setattr(parser, name, value)
    return parser
