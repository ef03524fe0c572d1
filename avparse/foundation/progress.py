"""Progress of long operations: a bar on standard error, calls of a function, or nothing, as the caller chooses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
Progress = Literal["auto", "bar"] | Callable[[int, int | None, str], object] | None

_chosen: ContextVar[Progress] = ContextVar("progress", default="auto")


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Choose the display of progress for all operations in the block.

    Args:
        progress: kind of display. ``"bar"``: a bar on standard error, redrawn often on a terminal and every ten seconds
            elsewhere, so that logs remain readable. A function: it is called as ``progress(done, total, what)`` after
            each step, with ``total`` None if unknown; an exception that it raises ends the operation. None: nothing is
            shown. ``"auto"``: the choice of an enclosing block, or else a bar on a terminal and nothing elsewhere.
    """
    token = _chosen.set(_chosen.get() if progress == "auto" else progress)
    try:
        yield
    finally:
        _chosen.reset(token)


class Tracker(Generic[T]):
    """Progress of one operation: iterate over it, or open it with ``with`` and call :meth:`update`."""

    def __init__(self, work: Iterable[T] | None, what: str, total: int | None, unit: str, first: int) -> None:
        chosen = _chosen.get()
        self._work, self._what, self._total, self._done = work, what, total, first
        self._report = chosen if callable(chosen) else None
        shown = chosen == "bar" or (chosen == "auto" and sys.stderr.isatty())
        self._bar = _bar(what, total, unit, first) if shown else None

    def update(self, count: int = 1) -> None:
        """Report that ``count`` more items are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        if self._report is not None:
            self._report(self._done, self._total, self._what)

    def note(self, text: str, now: bool = False) -> None:
        """Show ``text`` next to the bar, from its next redrawing on or ``now``."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=now)

    def __iter__(self) -> Iterator[T]:
        with self:
            for item in self._work or ():
                yield item
                self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def track(
    work: Iterable[T] | None, what: str, total: int | None = None, unit: str = "video", first: int = 0
) -> Tracker[T]:
    """Report the progress of an operation in the way that :func:`showing` chose, at the time of this call.

    Args:
        work: items to iterate over; None if the caller calls :meth:`Tracker.update` itself.
        what: name of the operation.
        total: number of items; the length of ``work`` if that has one.
        unit: name of an item.
        first: number of items that are done already (a resumed run).
    """
    if total is None and isinstance(work, Sized):
        total = len(work)
    return Tracker(work, what, total, unit, first)


def say(line: str) -> None:
    """Print a line to standard output immediately, above any progress bar."""
    from tqdm import tqdm  # noqa: PLC0415 (slow to import, and not needed for most work)

    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def _bar(what: str, total: int | None, unit: str, first: int) -> tqdm[Any]:
    from tqdm import tqdm  # noqa: PLC0415 (slow to import, and not needed where no bar is shown)

    terminal = sys.stderr.isatty()
    return tqdm(
        desc=what,
        total=total,
        initial=first,
        unit=unit,
        mininterval=0.2 if terminal else 10.0,
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        smoothing=0.1,
    )
