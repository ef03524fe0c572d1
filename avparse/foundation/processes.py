"""How many processes to use, and how to start them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while child processes are started, which inherit that for good; this process gets it afterwards.

    A child that ignores Ctrl-C can say so only once it runs; a second of imports before that it would die of it aloud.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting multiprocessing's tracker ends by letting Ctrl-C through again, so it must run before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
