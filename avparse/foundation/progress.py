"""Progress of long work: a rate and the remaining time, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    work: Iterable[T] | None, what: str, total: int | None = None, unit: str = "video", first: int = 0
) -> tqdm[T]:
    """Wrap ``work`` in a progress bar (None: a bar to be updated by hand); ``first`` items count as done already (a resumed run).

    On a terminal the bar moves; elsewhere a line is written every ten seconds, so that logs stay readable.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        work,
        desc=what,
        total=total,
        initial=first,
        unit=unit,
        mininterval=0.2 if terminal else 10.0,
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        smoothing=0.1,
    )
