"""Prompts and thresholds of the published teachers for the 25 classes of LLP.

The phrases and integer thresholds of VALOR (Lai et al., NeurIPS 2023) and the phrases of LSLD (Fan et al., NeurIPS
2023) are those of their released codes, including misspellings, because embeddings depend on them. Other classes are
named by their label, with spaces for underscores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from avparse.data.vocabulary import MODALITIES

Style = Literal["valor", "vplan", "lsld"]
OTHER = "other"


class _Phrases(NamedTuple):
    visual: str
    visual_threshold: int
    audio: str
    audio_threshold: int
    lsld: str


_LLP = {
    "Speech": _Phrases("people talking", 20, "speech", 0, "Speeching"),
    "Car": _Phrases("a car", 15, "car", 0, "Car"),
    "Cheering": _Phrases("people cheering", 18, "cheering", 1, "Cheering"),
    "Dog": _Phrases("a dog", 14, "dog", 4, "Dog"),
    "Cat": _Phrases("a cat", 15, "cat", 6, "Cat"),
    "Frying_(food)": _Phrases("frying food", 18, "frying (food)", -2, "Frying food"),
    "Basketball_bounce": _Phrases("people playing basketball", 18, "basketball bounce", 4, "playing basketball"),
    "Fire_alarm": _Phrases("a fire alarm", 15, "fire alarm", 4, "Fire alarm ringing"),
    "Chainsaw": _Phrases("a chainsaw", 15, "chainsaw", 2, "Chainsaw"),
    "Cello": _Phrases("a cello", 15, "cello", 2, "playing the Cello"),
    "Banjo": _Phrases("a banjo", 15, "banjo", 2, "playing the Banjo"),
    "Singing": _Phrases("people singing", 18, "singing", 1, "Singing"),
    "Chicken_rooster": _Phrases("a chicken or a rooster", 15, "chicken, rooster", 2, "Chicken"),
    "Violin_fiddle": _Phrases("a violin", 15, "violin fiddle", 3, "playing the Violin"),
    "Vacuum_cleaner": _Phrases("a vaccum cleaner", 15, "vacuum cleaner", 0, "Vacuum cleaner"),
    "Baby_laughter": _Phrases("a laughing baby", 15, "baby laughter", 2, "Baby laughter"),
    "Accordion": _Phrases("an accordion", 15, "accordion", 2, "playing the Accordion"),
    "Lawn_mower": _Phrases("a lawnmower", 15, "lawn mower", 2, "Lawn-mower"),
    "Motorcycle": _Phrases("a motorcycle", 15, "motorcycle", 0, "Motorcycle"),
    "Helicopter": _Phrases("a helicopter", 16, "helicopter", 2, "Helicopter"),
    "Acoustic_guitar": _Phrases("a acoustic guiter", 14, "acoustic guitar", -1, "playing the guitar"),
    "Telephone_bell_ringing": _Phrases(
        "a ringing telephone", 15, "telephone bell ringing", 2, "Telephone bell ringing"
    ),
    "Baby_cry_infant_cry": _Phrases("a crying baby", 15, "baby cry, infant cry", 3, "Baby cry"),
    "Blender": _Phrases("a blender", 15, "blender", 3, "Blender"),
    "Clapping": _Phrases("hands clapping", 18, "clapping", 0, "Clapping"),
}

# Table -> modality -> class -> threshold on the logit.
THRESHOLDS: dict[str, dict[str, dict[str, float]]] = {
    "valor": {
        modality: {name: float(getattr(phrases, f"{modality}_threshold")) for name, phrases in _LLP.items()}
        for modality in MODALITIES
    }
}


def class_prompts(style: Style, modality: str, classes: Iterable[str]) -> tuple[str, ...]:
    """Return the text of each class for a teacher of ``modality``.

    Args:
        style: method whose texts are used. ``vplan`` has texts for pictures (unverified) and uses VALOR's for audio;
            ``lsld`` are the plain labels that its re-weighting compares with.
        modality: ``audio`` or ``visual``.
        classes: names of the classes.
    """
    if style == "lsld":
        return tuple(classes)
    if modality == "audio":
        return tuple(f"This is a sound of {_phrase(name, 'audio')}" for name in classes)
    if style == "vplan":
        return tuple(f"This photo contains the {_spoken(name)}" for name in classes)
    return tuple(f"A photo of {_phrase(name, 'visual')}." for name in classes)


def subset_prompts(modality: str, classes: Sequence[str], subsets: Iterable[Sequence[int]]) -> tuple[str, ...]:
    """Return LSLD's text of each label subset, given as positions in ``classes``; the empty subset has "other"."""
    prefix = "This is a sound of " if modality == "audio" else ""
    named = (" and ".join(_phrase(classes[c], "lsld") for c in subset) for subset in subsets)
    return tuple(f"{prefix}{text or OTHER}" for text in named)


def subsets_of(label_sets: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return every subset of any of the label sets, the empty one first, each once, in a fixed order."""

    def each() -> Iterator[tuple[int, ...]]:
        yield ()
        for labels in label_sets:
            for size in range(1, len(labels) + 1):
                yield from combinations(sorted(labels), size)

    return sorted(set(each()), key=lambda subset: (len(subset), subset))


def _phrase(name: str, field: str) -> str:
    phrases = _LLP.get(name)
    return _spoken(name).lower() if phrases is None else str(getattr(phrases, field))


def _spoken(name: str) -> str:
    return name.replace("_", " ")
