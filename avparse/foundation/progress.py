"""Progress bars on standard error, with rate and remaining time."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    work: Iterable[T] | None, what: str, total: int | None = None, unit: str = "video", first: int = 0
) -> tqdm[T]:
    """Wrap ``work`` in a progress bar; ``first`` items count as done already (a resumed run).

    Without ``work`` the caller advances the bar (``bar.update``). On a terminal it is redrawn often, elsewhere every
    ten seconds, so that logs stay readable.
    """
    terminal = sys.stderr.isatty()
    bar: tqdm[T] = tqdm(  # type: ignore[assignment]
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
    return bar


def say(line: str) -> None:
    """Print a line to standard output immediately, above any progress bar."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
