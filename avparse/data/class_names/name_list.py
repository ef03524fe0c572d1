"""A fixed list of names, such as the 1000 of ImageNet, in which a class is found whatever its spelling."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from avparse.data.vocabulary import composed

_OFFERED = 3
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True)
class NameList:
    """The names that a network knows, in the order of its outputs.

    Attributes:
        key: name of the list in class maps, such as ``imagenet``.
        names: the names; a comma in one separates synonyms.
        exclusive: whether exactly one name holds at a time (the network ends in a softmax), or any number of them.
    """

    key: str
    names: tuple[str, ...]
    exclusive: bool

    def find(self, name: str) -> tuple[int, ...]:
        """Return the positions of the names that equal ``name``, or else of those with such a synonym.

        Case, plural, punctuation, and blanks or underscores between words do not matter.
        """
        wanted = _spelling(name)
        return self._whole.get(wanted) or self._synonyms.get(wanted, ())

    def offer(self, name: str) -> str:
        """Return ``"; near it: 'x', 'y'"`` for the names that are most like ``name``, nothing where none is."""
        words = set(_words(name))
        sharing = [known for known in self.names if words & set(_words(known))]
        spelt = {_spelling(known): known for known in reversed(self.names)}
        alike = [spelt[s] for s in difflib.get_close_matches(_spelling(name), list(spelt), n=_OFFERED, cutoff=0.6)]
        offered = list(dict.fromkeys([*alike, *sharing]))[:_OFFERED]
        return "; near it: " + ", ".join(f"'{known}'" for known in offered) if offered else ""

    @cached_property
    def _whole(self) -> dict[str, tuple[int, ...]]:
        return _positions((_spelling(name), at) for at, name in enumerate(self.names))

    @cached_property
    def _synonyms(self) -> dict[str, tuple[int, ...]]:
        return _positions((_spelling(part), at) for at, name in enumerate(self.names) for part in name.split(","))


def _positions(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for spelling, at in pairs:
        found[spelling][at] = None
    return {spelling: tuple(places) for spelling, places in found.items() if spelling}


def _spelling(name: str) -> str:
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    return [_singular(word) for word in _WORDS.findall(composed(name).casefold().replace("_", " "))]


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]
