"""Parsers: networks that map feature streams to probabilities of every class, segment and modality."""

from avparse.models.decoding import DecodingRule
from avparse.models.official import load_official
from avparse.models.output import Hidden, ParserOutput
from avparse.models.parsers import Parser, ParserConfig
from avparse.models.parsers.classes import with_classes

__all__ = ["DecodingRule", "Hidden", "Parser", "ParserConfig", "ParserOutput", "load_official", "with_classes"]
