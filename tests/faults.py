"""Faults at file calls: the process ends between two of them, or one of them fails."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self
from unittest import mock

# What makes, fills, moves or removes a file or folder.
_CALLS = ("open", "mkdir", "rmdir", "unlink", "remove", "rename", "replace", "link", "symlink", "fsync", "chmod")
_CALLS += ("truncate", "ftruncate", "write", "pwrite")


class Killed(BaseException):
    """Stands for a process that ended: no call after it has any effect."""


class Fault:
    """Lets a number of file calls through and fails the next one.

    Attributes:
        hit: whether there were that many calls.
    """

    def __init__(self, error: type[BaseException], after: int) -> None:
        self._error, self._after, self._calls = error, after, 0
        self.hit = False
        self._patches = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for name in _CALLS:
            if hasattr(os, name):
                self._patches.enter_context(mock.patch.object(os, name, self._counted(getattr(os, name))))
        for module in (builtins, io):  # pathlib opens by way of io
            self._patches.enter_context(mock.patch.object(module, "open", self._opened(module.open)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._patches.close()
        # What the process said at last: the fault, or the clear line that was made of it.
        return self.hit and kind is not None

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self._count()
            return call(*arguments, **named)

        return counted

    def _opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if set(mode) & set("wax+"):
                self._count()
            return call(file, mode, *arguments, **named)

        return opened

    def _count(self) -> None:
        self._calls += 1
        if self._error is Killed:
            if self._calls > self._after:  # and so are all that would clean up
                self.hit = True
                raise Killed
        elif self._calls == self._after + 1:
            self.hit = True
            raise OSError(errno.ENOSPC, "No space left on device")


def faults(error: type[BaseException]) -> Iterator[Fault]:
    """Yield a fault at the first file call, at the second, and so on; end by one that is not hit."""
    after = 0
    while True:
        yield Fault(error, after)
        after += 1
