"""Extractors, which turn decoded segments into streams of features; one file each, listed here by name.

Where an extractor is asked for by a text, that is its name, with settings after a colon where it has any:
``published`` or ``published:postprocess=pca,window_s=1.0``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from avparse.foundation.errors import UserError
from avparse.foundation.settings import Settings, lookup
from avparse.media.card import Card, view_facts
from avparse.media.extractors.audioset import AudiosetExtractor
from avparse.media.extractors.clip_clap import ClipClapExtractor
from avparse.media.extractors.compact import CompactExtractor
from avparse.media.extractors.extractor import Extractor, Stream
from avparse.media.extractors.light import LightExtractor
from avparse.media.extractors.pe_av import PeAvExtractor
from avparse.media.extractors.published import PublishedExtractor
from avparse.media.extractors.speech import SpeechExtractor

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "light": LightExtractor,
    "compact": CompactExtractor,
    "clip-clap": ClipClapExtractor,
    "pe-av": PeAvExtractor,
    "audioset": AudiosetExtractor,
    "speech": SpeechExtractor,
    "published": PublishedExtractor,
}


def make_extractor(text: str) -> Extractor:
    """Return the extractor of a name, with settings after a colon if it has any: ``NAME:KEY=VALUE,KEY=VALUE``.

    Raises:
        UserError: an unknown extractor or setting, or one that cannot start.
    """
    name, _, given = text.partition(":")
    kind = lookup(EXTRACTORS, name, "extractor")
    if not given:
        return kind()
    config: type[Settings] | None = getattr(kind, "Config", None)
    if config is None:
        raise UserError(f"extractor '{name}' has no settings; leave out ':{given}'")
    values = dict(part.strip().partition("=")[::2] for part in given.split(","))
    return kind(config.read(values, f"extractor '{name}'"))


def full_name(text: str) -> str:
    """Return the text of an extractor in one form: settings that are the default left out, in a fixed order.

    Raises:
        UserError: an unknown extractor or setting.
    """
    if ":" not in text:
        return text
    extractor: Any = make_extractor(text)
    changed = extractor.settings.model_dump(mode="json", exclude_defaults=True)
    settings = ",".join(f"{key}={value}" for key, value in changed.items())
    return f"{extractor.name}:{settings}" if settings else str(extractor.name)


def make_streams(wanted: str | Mapping[str, str]) -> dict[str, Stream]:
    """Return streams that can be made of a media file.

    Args:
        wanted: text of an extractor, all of whose streams are meant; or the name of each stream with the text of the
            extractor that makes it.

    Raises:
        UserError: an unknown extractor, or a stream that its extractor does not make.
    """
    return {name: extractor.streams[name] for name, extractor in _sources(wanted).items()}


def make_cards(wanted: str | Mapping[str, str], segment_seconds: float) -> dict[str, Card]:
    """Return the card of each stream that can be made of a media file; files of weights are read for it.

    Args:
        wanted: the streams, as in :func:`make_streams`.
        segment_seconds: length of a segment.

    Raises:
        UserError: a stream is unknown, as in :func:`make_streams`, or the weights of a network are not there.
    """
    cards = {}
    for name, extractor in _sources(wanted).items():
        made = extractor.streams[name]
        facts = {**view_facts(made.view, segment_seconds), **made.facts()}
        cards[name] = Card(extractor=extractor.name, version=extractor.version, **facts)
    return cards


def _sources(wanted: str | Mapping[str, str]) -> dict[str, Extractor]:
    """Return the extractor of each wanted stream, by the name of the stream."""
    if isinstance(wanted, str):
        extractor = make_extractor(wanted)
        return dict.fromkeys(extractor.streams, extractor)
    made = {text: make_extractor(text) for text in dict.fromkeys(wanted.values())}
    for name, text in wanted.items():
        if name not in made[text].streams:
            raise UserError(f"extractor '{text}' makes no stream '{name}'; it makes {', '.join(made[text].streams)}")
    return {name: made[text] for name, text in wanted.items()}


__all__ = ["EXTRACTORS", "Extractor", "Stream", "full_name", "make_cards", "make_extractor", "make_streams"]
