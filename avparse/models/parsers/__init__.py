"""Parsers, one file each, listed by name: ``parser(features, cross) -> ParserOutput``."""

from collections.abc import Callable
from typing import Any

from avparse.data.features import TaskSpec
from avparse.models.guides.unimodal import UnimodalParser
from avparse.models.parsers.composed import Parser, ParserConfig
from avparse.models.parsers.mgn import MGNParser
from avparse.models.parsers.twins import ParserPair, SplitParser, TwinParser

AnyParser = Parser | ParserPair
PARSERS: dict[str, Callable[[Any, TaskSpec], Any]] = {"composed": Parser, "mgn": MGNParser, "unimodal": UnimodalParser}

__all__ = ["PARSERS", "AnyParser", "Parser", "ParserConfig", "ParserPair", "SplitParser", "TwinParser"]
