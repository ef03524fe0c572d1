"""Names of files as text that every file and every terminal can hold."""

from __future__ import annotations

import re

_STRAY_BYTE = re.compile("[\udc80-\udcff]")  # how Python holds the bytes of a name that are not UTF-8


def writable(name: str) -> str:
    r"""Return a name whose bytes that are not UTF-8 are escaped, as in ``caf\xe9.mp4``; other names are unchanged."""
    escaped = _STRAY_BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", name)
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")
