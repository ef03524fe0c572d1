"""Whether this program may use the network."""

from __future__ import annotations

import os

_VARIABLE = "AVPARSE_OFFLINE"


def is_offline() -> bool:
    """Return whether the network must not be used: ``AVPARSE_OFFLINE`` is set, and not to 0."""
    return os.environ.get(_VARIABLE, "0") not in {"", "0"}


def go_offline() -> None:
    """Keep this process, and those that it starts, from the network."""
    os.environ[_VARIABLE] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
