"""Errors that a user can fix; the command line prints each as one line and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input; the message is one line that names the file or field, what is wrong, and how to fix it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or the list of known names when none is close."""
    options = [str(k) for k in known]
    return closest(name, options) or f"; known: {', '.join(sorted(options))}"


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, nothing when none is close."""
    folded = {option.casefold(): option for option in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f"; did you mean '{folded[close[0]]}'?" if close else ""


def printable(text: str) -> str:
    """Return ``text`` with an escape (backslash, x, hexadecimal) for each control character.

    File names may contain any characters, and a terminal would execute some of them. Line ends and tabs are kept.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
