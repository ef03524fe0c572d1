"""A list of classes as users give it: names with commas between, a file with one name a line, or a Python list."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from avparse.data.vocabulary import Vocabulary, composed
from avparse.foundation.errors import UserError


def read_classes(given: str | Path | Iterable[str], where: str = "--classes") -> tuple[str, ...]:
    """Return the names of classes in their order.

    Args:
        given: names with commas between, the path of a file with one name a line, or the names themselves.
        where: option or argument that they were given by, which messages name.

    Raises:
        UserError: no class is named, one is named twice, or the file does not exist or cannot be read.
    """
    if isinstance(given, str | Path) and (isinstance(given, Path) or _is_path(given)):
        return Vocabulary.read(given).names
    names = given.split(",") if isinstance(given, str) else given
    stripped = [composed(name).strip() for name in names]
    try:
        return Vocabulary(tuple(name for name in stripped if name)).names
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix('vocabulary: ')}") from None


def _is_path(given: str) -> bool:
    """Return whether one string means a file: there is one, or it is written like one."""
    if "," in given:
        return False
    return os.path.isfile(given) or Path(given).suffix in {".txt", ".csv", ".tsv"} or os.sep in given
