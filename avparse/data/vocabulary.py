"""Vocabulary: the class names of a data set in a fixed order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import numpy as np

from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.reading import read_text

MODALITIES = ("audio", "visual")

LLP_CLASSES = (
    "Speech",
    "Car",
    "Cheering",
    "Dog",
    "Cat",
    "Frying_(food)",
    "Basketball_bounce",
    "Fire_alarm",
    "Chainsaw",
    "Cello",
    "Banjo",
    "Singing",
    "Chicken_rooster",
    "Violin_fiddle",
    "Vacuum_cleaner",
    "Baby_laughter",
    "Accordion",
    "Lawn_mower",
    "Motorcycle",
    "Helicopter",
    "Acoustic_guitar",
    "Telephone_bell_ringing",
    "Baby_cry_infant_cry",
    "Blender",
    "Clapping",
)
LLP_FRAMES = 8  # a second, of the published frame features


@dataclass(frozen=True)
class Vocabulary:
    """Event names in a fixed order; the position of a name is its class index in every array.

    Names are compared in Unicode form NFC, so that an accent may be a character of its own or not.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise UserError("vocabulary: no class is named; give at least one")
        seen: set[str] = set()
        for name in self.names:
            if not name or name != name.strip() or "," in name:
                raise UserError(f"vocabulary: class name '{name}' is empty, padded or holds a comma; rename it")
            if composed(name) in seen:
                raise UserError(f"vocabulary: class '{name}' is named twice; remove one")
            seen.add(composed(name))

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Vocabulary:
        """Read class names, one a line, in Unicode form NFC; empty lines are skipped.

        Raises:
            UserError: the file cannot be read, or a name is unusable or named twice.
        """
        lines = composed(read_text(path, mend="write one class name a line")).splitlines()
        try:
            return cls(tuple(line.strip() for line in lines if line.strip()))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {composed(name): position for position, name in enumerate(self.names)}

    def index(self, name: str, where: str = "labels") -> int:
        """Return the class index of ``name``.

        Raises:
            UserError: unknown class; ``where`` names the file and row, and the nearest name is offered.
        """
        position = self._positions.get(composed(name))
        if position is None:
            raise UserError(f"{where}: unknown class '{name}'{nearest(name, self.names)}")
        return position

    def encode(self, names: Iterable[str], where: str = "labels") -> BoolArray:
        """Return the multi-hot vector ``[C]`` of ``names``."""
        vector = np.zeros(len(self.names), dtype=bool)
        for name in names:
            vector[self.index(name, where)] = True
        return vector

    def decode(self, vector: Sequence[bool] | BoolArray) -> list[str]:
        """Return the names marked in a multi-hot vector ``[C]``."""
        return [name for name, marked in zip(self.names, vector, strict=True) if marked]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)


def composed(name: str) -> str:
    """Return a name in Unicode form NFC, in which class names are compared."""
    return unicodedata.normalize("NFC", name)
