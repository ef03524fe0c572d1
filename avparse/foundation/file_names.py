"""Names of files that every system can write, and which of them some system takes for one."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator

_LONGEST = 200  # bytes, so that a number and an ending fit into what systems allow
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\]")


def writable_name(name: str) -> str:
    """Return a name without its folder and ending as every system can write it; never empty."""
    cut = _ODD.sub("_", name).encode("utf-8")[:_LONGEST].decode("utf-8", "ignore").rstrip(" .")
    return cut or "_"


def same_name(name: str) -> str:
    """Return what the names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def first_free(name: str, free: Callable[[str], bool]) -> str:
    """Return the first of ``name``, ``name-2``, ``name-3`` and so on that is free."""
    return next(candidate for candidate in _numbered(name) if free(candidate))


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))
