"""Texts and paths as cells of tables and as parts of lines, safe for spreadsheets and terminals.

A text that a spreadsheet would take for a formula is written with an apostrophe before it. Control characters, and
bytes of a path that are not UTF-8, are written as escapes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ODD = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
_CONTROL = re.compile(f"[{_ODD}]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(\\))")


def guarded(text: str) -> str:
    """Return a text as a cell that no spreadsheet computes."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def unguarded(cell: str) -> str:
    """Return the text that :func:`guarded` made a cell of."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def without_controls(text: str) -> str:
    """Return a text with an escape for each control character, except tabs and line ends, and each lone surrogate."""
    return _CONTROL.sub(lambda found: _escaped(found[0]), text)


def in_line(text: str, also: str = "") -> str:
    """Return a text as a part of one line, from which :func:`from_line` makes the same text again.

    Args:
        text: text that may hold tabs and ends of lines, which are escaped.
        also: further characters to escape, as inside the brackets of a regular expression.
    """
    odd = rf"\t\n\u2028\u2029{_ODD}{also}"
    return _with_escapes(text, odd) if re.search(rf"\\[xu]|[{odd}]", text) else text


def from_line(part: str) -> str:
    """Return the text that :func:`in_line` made a part of a line of."""
    return _ESCAPE.sub(lambda found: _unescaped(*found.groups()), part) if re.search(r"\\[xu]", part) else part


def path_cell(path: str | os.PathLike[str]) -> str:
    """Return the absolute path as printable text, from which :func:`cell_path` makes the same path again."""
    text, odd = os.path.abspath(path), rf"\t\n{_ODD}"
    return _with_escapes(text, odd) if re.search(rf"\\[xu]|[{odd}]", text) else text


def cell_path(cell: str) -> Path:
    """Return the path that :func:`path_cell` made a cell of."""
    return Path(from_line(cell))


def _with_escapes(text: str, odd: str) -> str:
    return re.sub(rf"[\\{odd}]", lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescaped(byte: str | None, code: str | None, backslash: str | None) -> str:
    if backslash is not None:
        return backslash
    if byte is None:
        return chr(int(code or "0", 16))
    value = int(byte, 16)
    return chr(value if value < 0x80 else 0xDC00 + value)
