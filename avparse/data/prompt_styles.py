"""Styles of asking a teacher: the words, thresholds and settings of published methods, from ``prompt_styles.yaml``.

A style of one's own is a YAML file with the content of one of the styles there; its path is given in place of a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from avparse.foundation.errors import UserError
from avparse.foundation.reading import parse_yaml, read_yaml
from avparse.foundation.settings import Settings, lookup

OTHER = "other"
_FILE = "prompt_styles.yaml"


class Wording(Settings):
    """How classes are put into words.

    Attributes:
        template: the text, in which ``{}`` stands for the phrase of the class.
        naming: name of a class without a phrase: its ``label``, the ``words`` of the label with spaces for underscores,
            or these words in ``lower`` case.
        phrases: class -> phrase.
    """

    template: str = "{}"
    naming: Literal["label", "words", "lower"] = "label"
    phrases: dict[str, str] = Field(default_factory=dict)

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if "{}" not in template:
            raise UserError(f"{template!r} has no place for the class; write {{}} there")
        return template

    def phrase(self, name: str) -> str:
        """Return how a class is called."""
        words = name if self.naming == "label" else name.replace("_", " ")
        return self.phrases.get(name, words.lower() if self.naming == "lower" else words)

    def text(self, phrase: str) -> str:
        """Return the text that holds a phrase."""
        return self.template.replace("{}", phrase)


class Prompts(Wording):
    """How a method asks a teacher of one modality; the words are those of single classes.

    Attributes:
        thresholds: class -> logit above which the method takes the class for active; empty where it has no such table.
        subsets: words of several classes at once.
    """

    thresholds: dict[str, float] = Field(default_factory=dict)
    subsets: Wording = Wording()

    def class_prompts(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Return the text of each class."""
        return tuple(self.text(self.phrase(name)) for name in classes)

    def subset_prompts(self, classes: Sequence[str], subsets: Iterable[Sequence[int]]) -> tuple[str, ...]:
        """Return the text of each subset of the classes, given as positions; that of an empty one is "other"."""
        named = (" and ".join(self.subsets.phrase(classes[c]) for c in subset) for subset in subsets)
        return tuple(self.subsets.text(phrase or OTHER) for phrase in named)


class PromptStyle(Settings):
    """A published way, or one of one's own, of asking teachers.

    Attributes:
        source: paper or code that published the style.
        audio: words for teachers that listen.
        visual: words for teachers that look.
        teachers: teacher -> the settings of it that the method takes.
    """

    source: str = ""
    audio: Prompts = Prompts()
    visual: Prompts = Prompts()
    teachers: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def prompts(self, modality: str) -> Prompts:
        """Return the words for teachers of a modality."""
        found: Prompts = getattr(self, modality)
        return found


@cache
def shipped_styles() -> Mapping[str, PromptStyle]:
    """Return the styles of the package by name."""
    text = (resources.files("avparse.data") / _FILE).read_text(encoding="utf-8")
    return {name: PromptStyle.read(style, f"{_FILE}: {name}") for name, style in parse_yaml(text, _FILE).items()}


def prompt_style(name: str) -> PromptStyle:
    """Return a style by its name, or by the path of its YAML file.

    Raises:
        UserError: an unknown name (the nearest is offered), or a file that cannot be read or holds something else.
    """
    if Path(name).suffix in {".yaml", ".yml"}:
        return PromptStyle.read(read_yaml(name), name)
    return lookup(shipped_styles(), name, "prompt style")


def published_thresholds(name: str) -> dict[str, dict[str, float]]:
    """Return the thresholds of a style of the package: modality -> class -> threshold on the logit.

    Raises:
        UserError: no style of that name has thresholds; the nearest is offered.
    """
    known = {key: style for key, style in shipped_styles().items() if style.audio.thresholds or style.visual.thresholds}
    style = lookup(known, name, "table of thresholds")
    return {"audio": style.audio.thresholds, "visual": style.visual.thresholds}


def subsets_of(label_sets: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return every subset of any of the label sets, the empty one first, each once, in a fixed order."""

    def each() -> Iterator[tuple[int, ...]]:
        yield ()
        for labels in label_sets:
            for size in range(1, len(labels) + 1):
                yield from combinations(sorted(labels), size)

    return sorted(set(each()), key=lambda subset: (len(subset), subset))
