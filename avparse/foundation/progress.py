"""Progress of long operations: a bar on standard error, calls of a function, or nothing, as the caller chooses."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
Progress = Literal["auto", "bar"] | Callable[[int, int | None, str], object] | None

_chosen: ContextVar[Progress] = ContextVar("progress", default="auto")


@dataclass
class _Clock:
    """How far the whole of an operation is, and since when it has been watched."""

    reached: float = 0.0
    since_s: float | None = None
    first: float = 0.0

    def left(self, reached: float) -> str:
        """Return the time that remains for all stages, once enough was seen to tell."""
        now_s = time.monotonic()
        if self.since_s is None:
            self.since_s, self.first = now_s, reached
        self.reached = max(self.reached, reached)
        seen = self.reached - self.first
        if seen < _ENOUGH:
            return ""
        minutes, seconds = divmod(round((now_s - self.since_s) / seen * (1.0 - self.reached)), 60)
        return f"all done in about {minutes}:{seconds:02d}"


@dataclass
class _Stage:
    """One stage: what it is called, and the part of the whole that it takes."""

    name: str = ""
    low: float = 0.0
    high: float = 1.0
    clock: _Clock = field(default_factory=_Clock)


_ENOUGH = 0.02  # of the whole: less says too little about the rest
_stage: ContextVar[_Stage | None] = ContextVar("stage", default=None)


class Stages:
    """Stages of a long operation: each bar says which of how many it is, and how long all of them still take.

    A stage may have stages of its own, which divide its part of the whole.

    Args:
        shares: expected share of the time of each stage, by name and in order; only their proportions count.

    Example:
        >>> stages = Stages({"extract": 2, "train": 1})
        >>> with stages.at("extract"):
        ...     videos = list(track(["a", "b"], "extract"))
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._outer = _stage.get() or _Stage()
        self._stages: dict[str, _Stage] = {}
        reached, span = self._outer.low, self._outer.high - self._outer.low
        for number, (name, share) in enumerate(shares.items(), 1):
            own = f"{number}/{len(shares)} {name}" if len(shares) > 1 else ""
            title = ", ".join(filter(None, (self._outer.name, own)))
            end = reached + share / sum(shares.values()) * span
            self._stages[name] = _Stage(title, reached, end, self._outer.clock)
            reached = end

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Work at the stage ``name`` in this block."""
        token = _stage.set(self._stages[name])
        try:
            yield
        finally:
            _stage.reset(token)


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
        self._stage, self._note = _stage.get(), ""
        title = f"{self._stage.name}: {what}" if self._stage is not None and self._stage.name else what
        self._bar = _bar(title, total, unit, first) if shown else None
        self._remaining()

    def update(self, count: int = 1) -> None:
        """Report that ``count`` more items are done."""
        self._done += count
        self._remaining()
        if self._bar is not None:
            self._bar.update(count)
        if self._report is not None:
            self._report(self._done, self._total, self._what)

    def note(self, text: str, now: bool = False) -> None:
        """Show ``text`` next to the bar, from its next redrawing on or ``now``."""
        self._note = text
        self._remaining(now)

    def _remaining(self, now: bool = False) -> None:
        """Put the note and the time that remains for all stages next to the bar."""
        left = ""
        if self._stage is not None and self._stage.name and self._total:
            span = self._stage.high - self._stage.low
            left = self._stage.clock.left(self._stage.low + span * min(1.0, self._done / self._total))
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(filter(None, (self._note, left))), refresh=now)

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
