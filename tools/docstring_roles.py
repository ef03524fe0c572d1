"""Docstrings name other objects as ``:func:`avparse.data...```; here such a name becomes a link to its entry."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(func|class|meth|mod|exc|data|attr):`~?([\w.]+)`")
_CONSTANTS = ("data", "attr")  # most have no docstring, hence no entry


def linked(text: str) -> str:
    """Return a docstring with its roles as Markdown: the full path of an object as a link, any other name as code."""

    def markdown(role: re.Match[str]) -> str:
        kind, name = role.groups()
        has_entry = name.startswith("avparse.") and kind not in _CONSTANTS
        return f"[`{name}`][{name}]" if has_entry else f"`{name}`"

    return _ROLE.sub(markdown, text)


class DocstringRoles(Extension):
    """Rewrites every docstring that is read for the reference."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = linked(obj.docstring.value)
