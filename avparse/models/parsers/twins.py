"""Two parsers as one: twins that are trained together, and a pair of which each parses one modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from avparse.data.features import Features, TaskSpec
from avparse.models.output import ParserOutput, mean_output
from avparse.models.parsers.composed import Parser, ParserConfig


class ParserPair(nn.Module):
    """Two parsers of the same settings, classes and streams.

    Args:
        first: one parser; its settings are those of the pair.
        second: the other parser.
    """

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__()
        self.config, self.spec = first.config, first.spec
        self.first, self.second = first, second

    @property
    def needs_statistics(self) -> bool:
        """Whether :meth:`calibrate` needs the mean and deviation of the training streams."""
        return bool(self.first.needs_statistics)

    def calibrate(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Store mean and deviation ``[D]`` of each stream, before training."""
        self.first.calibrate(statistics)
        self.second.calibrate(statistics)


class TwinParser(ParserPair):
    """Two parsers that read the same videos, for co-teaching and agreement losses.

    The output is the mean of both outputs, which is also decoded at the end; ``peers`` holds the two outputs.
    """

    def __init__(self, config: ParserConfig, spec: TaskSpec) -> None:
        super().__init__(Parser(config, spec), Parser(config, spec))

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse with both parsers; the arguments are those of :meth:`Parser.forward`."""
        a, b = self.first(features, cross), self.second(features, cross)
        return replace(mean_output((a, b)), peers=(a, b))


class SplitParser(ParserPair):
    """Audio is parsed by the first trained parser, visual by the second; ``video`` is the mean of both."""

    def forward(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse with both parsers; the arguments are those of :meth:`Parser.forward`."""
        a, b = self.first(features, cross), self.second(features, cross)
        return replace(
            mean_output((a, b)),
            audio_segments=a.audio_segments,
            audio=a.audio,
            visual_segments=b.visual_segments,
            visual=b.visual,
        )
