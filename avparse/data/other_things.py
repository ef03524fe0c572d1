"""Other things than the wanted classes, which networks of texts are asked about for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

from avparse.foundation.reading import parse_yaml
from avparse.foundation.settings import Settings

_FILE = "other_things.yaml"


class _OtherThings(Settings):
    audio: tuple[str, ...]
    visual: tuple[str, ...]


def other_things(modality: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Return names of other things that can be heard or seen, without those that are wanted classes.

    Args:
        modality: "audio" or "visual".
        classes: the wanted classes.
    """
    wanted = {_bare(name) for name in classes}
    return tuple(name for name in getattr(_shipped(), modality) if _bare(name) not in wanted)


@cache
def _shipped() -> _OtherThings:
    text = (resources.files("avparse.data") / _FILE).read_text(encoding="utf-8")
    return _OtherThings.read(parse_yaml(text, _FILE), _FILE)


def _bare(name: str) -> str:
    """Return a name without its article, in lower case and with spaces."""
    words = name.casefold().replace("_", " ").split()
    return " ".join(words[1:] if words and words[0] in {"a", "an", "the"} else words)
