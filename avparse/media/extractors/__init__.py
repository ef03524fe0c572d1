"""Extractors: ``extractor(chunk) -> {stream: [segments, D]}``, one file each, listed here by name."""

from avparse.media.extractors.clip_clap import ClipClapExtractor
from avparse.media.extractors.extractor import Extractor
from avparse.media.extractors.light import LightExtractor

EXTRACTORS: dict[str, type[Extractor]] = {"light": LightExtractor, "clip-clap": ClipClapExtractor}

__all__ = ["EXTRACTORS", "Extractor"]
