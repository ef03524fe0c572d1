"""Extractors, which turn decoded segments into streams of features; one file each, listed here by name."""

from collections.abc import Callable, Mapping

from avparse.foundation.errors import UserError
from avparse.foundation.settings import lookup
from avparse.media.extractors.audioset import AudiosetExtractor
from avparse.media.extractors.clip_clap import ClipClapExtractor
from avparse.media.extractors.compact import CompactExtractor
from avparse.media.extractors.extractor import Extractor, Stream
from avparse.media.extractors.light import LightExtractor
from avparse.media.extractors.pe_av import PeAvExtractor
from avparse.media.extractors.speech import SpeechExtractor

EXTRACTORS: dict[str, Callable[[], Extractor]] = {
    "light": LightExtractor,
    "compact": CompactExtractor,
    "clip-clap": ClipClapExtractor,
    "pe-av": PeAvExtractor,
    "audioset": AudiosetExtractor,
    "speech": SpeechExtractor,
}


def make_streams(wanted: str | Mapping[str, str]) -> dict[str, Stream]:
    """Return streams that can be made of a media file.

    Args:
        wanted: key of ``EXTRACTORS``, all of whose streams are meant; or the name of each stream with the key of the
            extractor that makes it.

    Raises:
        UserError: an unknown extractor, or a stream that its extractor does not make.
    """
    if isinstance(wanted, str):
        return dict(lookup(EXTRACTORS, wanted, "extractor")().streams)
    made = {key: lookup(EXTRACTORS, key, "extractor")().streams for key in dict.fromkeys(wanted.values())}
    for name, key in wanted.items():
        if name not in made[key]:
            raise UserError(f"extractor '{key}' makes no stream '{name}'; it makes {', '.join(made[key])}")
    return {name: made[key][name] for name, key in wanted.items()}


__all__ = ["EXTRACTORS", "Extractor", "Stream", "make_streams"]
