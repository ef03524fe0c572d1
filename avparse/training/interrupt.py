"""Stopping between two training steps: the first signal requests a stop, the second one stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While active, Ctrl-C and SIGTERM set :attr:`signal` instead of stopping at once; a second one does stop.

    The loop that uses it saves a checkpoint and then calls :meth:`stop`, which exits with 128 + the signal's number.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # other threads receive no signals
            self._before = {s: signal.signal(s, self._ask) for s in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def stop(self) -> None:
        """End the program as the signal would have done."""
        raise SystemExit(128 + (self.signal or signal.SIGINT))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
