"""Docstrings name other objects as ``:func:`avparse.data...```; here such a name becomes a link to its entry."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`~?([\w.]+)`")


def linked(text: str) -> str:
    """Return a docstring with its roles as Markdown: a full path as a link, any other name as code."""
    return _ROLE.sub(lambda m: f"[`{m[1]}`][{m[1]}]" if m[1].startswith("avparse.") else f"`{m[1]}`", text)


class DocstringRoles(Extension):
    """Rewrites every docstring that is read for the reference."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = linked(obj.docstring.value)
