"""Building of parsers from their settings, and the list of networks in a parser."""

from __future__ import annotations

from typing import Any

from torch import nn

from avparse.data.features import TaskSpec
from avparse.foundation.settings import PartConfig, build
from avparse.models.parsers import PARSERS, AnyParser, ParserConfig, ParserPair, TwinParser


def build_parser(config: PartConfig, spec: TaskSpec, cross: bool = True) -> AnyParser:
    """Return the parser that ``config`` names: ours, or any module with the ``forward`` of :class:`Parser`.

    Without ``cross`` the modalities never attend to each other, whatever a caller of ``forward`` passes.
    """
    parser: AnyParser
    if isinstance(config, ParserConfig) and config.twins:
        parser = TwinParser(config, spec)
    else:
        parser = build(PARSERS, config, spec)
    # A module from elsewhere need not have what only training and parsing of files read.
    for name, value in (("spec", spec), ("needs_statistics", False)):
        if not hasattr(parser, name):
            setattr(parser, name, value)
    # Attributes and a hook, as a module around the parser would rename every tensor in saved weights.
    if not cross:
        parser.register_forward_pre_hook(_unimodal, with_kwargs=True)
    return parser


def networks(parser: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each separately trained network: each twin, the parser, each of its guides."""
    if isinstance(parser, ParserPair):
        return [*networks(parser.first), *networks(parser.second)]
    guides = getattr(parser, "guides", None)
    beside = [] if guides is None else [list(guide.parameters()) for guide in guides.children()]
    theirs = {id(p) for parameters in beside for p in parameters}
    return [[p for p in parser.parameters() if id(p) not in theirs], *beside]


def _unimodal(parser: nn.Module, features: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return features[:1], {**options, "cross": False}
