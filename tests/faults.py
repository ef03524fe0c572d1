"""Faults at file calls: the process ends between two of them, or one of them fails."""

from __future__ import annotations

import builtins
import contextlib
import errno
import gc
import io
import os
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self
from unittest import mock

from avparse.foundation import files, platform
from avparse.foundation.errors import UserError

# What makes, fills, moves or removes a file or folder.
_CALLS = ("open", "mkdir", "rmdir", "unlink", "remove", "rename", "replace", "link", "symlink", "fsync", "chmod")
_CALLS += ("truncate", "ftruncate", "write", "pwrite")


class Killed(BaseException):
    """Stands for a process that ended: no call after it has any effect."""


class Fault:
    """Lets a number of file calls through and fails the next one; temporary names are those of an ended process.

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
        ended = platform.Owner(platform.Owner.this().host, 2**22 - 1, 1)
        self._patches.enter_context(mock.patch.object(platform.Owner, "this", return_value=ended))
        self._patches.enter_context(mock.patch.object(files, "_swept", set()))
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


def faults(error: type[BaseException], every: int = 1) -> Iterator[Fault]:
    """Yield a fault at the first file call, at the one ``every`` calls later, and so on; end by one that is not hit."""
    after = 0
    while True:
        yield Fault(error, after)
        after += every


def under(action: Callable[[], object], fault: Fault) -> str:
    """Run an action under a fault and let go of what it held, as the end of its process does.

    Returns:
        ``done`` if the fault was not hit, ``killed``, ``told`` if a UserError of one line says that the action failed,
        ``passed`` if it ended all the same, otherwise the error.
    """
    gc.freeze()  # what was there before need not be searched
    outcome = "passed"
    with fault:
        try:
            action()
        except Killed:
            outcome = "killed"
        except UserError as error:
            outcome = "told" if "\n" not in str(error) else repr(error)
        except OSError:
            outcome = traceback.format_exc()
    gc.collect()  # closes its locks
    gc.unfreeze()
    return outcome if fault.hit else "done"
