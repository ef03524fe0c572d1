"""Stopping between two training steps: the first signal requests a stop, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

# Those of the system, on Windows SIGBREAK among them. They stand here because every start of the program reads them,
# and the module of the platform loads far more.
STOP_SIGNALS = tuple(s for name in ("SIGINT", "SIGTERM", "SIGBREAK") if (s := getattr(signal, name, None)) is not None)


class StopRequest:
    """While active, Ctrl-C and SIGTERM set :attr:`signal` instead of stopping at once; a second one does stop.

    The loop that uses it saves a checkpoint and then calls :meth:`stop`, which exits with 128 + the signal's number.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # other threads receive no signals
            self._before = {s: signal.signal(s, self._ask) for s in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def stop_if_asked(self) -> None:
        """End the program if a signal asked for it; for work that is done again from its beginning."""
        if self.signal is not None:
            self.stop()

    def stop(self) -> None:
        """End the program as the signal would have done."""
        raise SystemExit(128 + (self.signal or signal.SIGINT))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Interrupted(number)
        self.signal = number


class Interrupted(BaseException):
    """A signal asked the program to end at once.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def signals_end_the_program() -> Iterator[None]:
    """While active, Ctrl-C and SIGTERM raise :class:`Interrupted` wherever the program is."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
