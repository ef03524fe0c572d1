"""Locks of folders that only one process at a time may write to; a lock ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from avparse.foundation import platform
from avparse.foundation.errors import UserError, printable
from avparse.foundation.files import writing

LOCK = ".lock"  # in the folder that is written to
_log = logging.getLogger(__name__)
_MOST_BYTES, _MOST_CHARACTERS = 4096, 120


class Lock:
    """An exclusive lock, held from the creation of this object to :meth:`release`.

    Args:
        path: path of the lock file. While the lock is held the file names its holder; afterwards the file is removed.
        what: name of the locked folder in the error message.

    Raises:
        UserError: another process holds the lock (the message names its number, machine and command), or the file
            cannot be created.
    """

    def __init__(self, path: Path, what: str | os.PathLike[str]) -> None:
        self._path = path
        with writing(path):
            self._file = _locked(path, what)
            self._file.truncate(0)
            self._file.write(json.dumps(_myself()).encode())

    def release(self) -> None:
        """Release the lock."""
        if not self._file.closed:
            with contextlib.suppress(OSError):  # Windows does not remove an open file
                self._path.unlink()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _locked(path: Path, what: str | os.PathLike[str]) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
        held = platform.lock(file)
        if held is False:
            holder = _holder(file)
            file.close()
            raise UserError(f"{what}: another process is writing there{holder}; wait for it or stop it")
        if held is None:
            _log.warning("%s: this file system has no locks; let no second process write there", what)
        if held is None or _is_at(file, path):
            return file
        file.close()  # its holder removed it meanwhile, so this file has no name any more


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _myself() -> dict[str, str | int]:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"pid": os.getpid(), "host": platform.host_name(), "command": printable(command)[:_MOST_CHARACTERS]}


def _holder(file: BinaryIO) -> str:
    """Return the holder of a lock, as part of a sentence; empty if the file does not name it."""
    try:
        file.seek(0)
        about = json.loads(file.read(_MOST_BYTES))
        text = f": process {about['pid']:d} on {about['host']} ({about['command']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return printable(text)
