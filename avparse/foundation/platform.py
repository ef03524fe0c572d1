"""All code that depends on the operating system: syncing, locks, writes at a position, signals, processes.

It checks for functions that the system has instead of the system's name, so that tests can take one away.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, BinaryIO, Self

import psutil

from avparse.foundation.interrupt import STOP_SIGNALS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_LOCKED_BYTE = 1 << 30  # far behind the content, because on Windows others cannot read a locked byte
_REPLACE_TRIES, _REPLACE_PAUSE_S = 20, 0.05


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; a pipe or device is refused without waiting for it.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or a device, not a file", str(path))


def has_holes(status: os.stat_result) -> bool:
    """Return whether a large file consists almost entirely of holes, which take no disk space and read as zeros."""
    stored = getattr(status, "st_blocks", None)
    return stored is not None and status.st_size > (64 << 20) and 512 * stored < status.st_size // 100


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Sync the folder's entries to disk, so that a rename survives a power failure, if the system supports it."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder, and some file systems cannot sync one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: str | os.PathLike[str]) -> None:
    """Sync the content of a file to disk."""
    with open(path, "r+b") as file:  # Windows cannot sync a file that is open for reading only
        os.fsync(file.fileno())


def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file over another; if the target is open (Windows), wait up to a second for its reader.

    Raises:
        OSError: the file cannot be renamed.
    """
    for attempt in range(_REPLACE_TRIES):
        try:
            os.replace(source, target)
        except PermissionError:
            if fcntl is not None or attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return


def write_at(descriptor: int, content: bytes | memoryview, position: int) -> None:
    """Write all of ``content`` at a position of an open file."""
    rest = memoryview(content)
    while rest:
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, rest, position)
        else:
            os.lseek(descriptor, position, os.SEEK_SET)
            written = os.write(descriptor, rest)
        rest, position = rest[written:], position + written


def umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def user_cache() -> Path:
    """Return the folder for files of this user that any program may make again."""
    system = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")  # the latter on Windows
    if system:
        return Path(system)
    library = Path.home() / "Library" / "Caches"  # macOS
    return library if library.is_dir() else Path.home() / ".cache"


def lock(file: BinaryIO) -> bool | None:
    """Lock an open file until it is closed or its process ends.

    Returns:
        True if locked, False if another process holds the lock, None if this file system has no locks.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        if isinstance(error, BlockingIOError | PermissionError) or error.errno == errno.EDEADLK:
            return False
        raise
    return True


@dataclass(frozen=True)
class Owner:
    """A process, distinguished from a later one with the same number.

    Attributes:
        host: short digest of the machine's name.
        pid: number of the process.
        started: time at which the process started, in Unix seconds.
    """

    host: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> Self:
        """Return this process."""
        return cls(_host(), os.getpid(), _started(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read text that :meth:`__str__` wrote; None if it is something else."""
        host, *numbers = text.split("-")
        if len(numbers) != 2 or not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
            return None
        return cls(host, int(numbers[0]), int(numbers[1]))

    def is_dead(self) -> bool:
        """Return whether the process has ended; False for one of another machine, where it is unknown."""
        if self.host != _host():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 2  # tolerates a clock that was set
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False

    def __str__(self) -> str:
        return f"{self.host}-{self.pid}-{self.started}"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Block Ctrl-C while child processes are started, which inherit the block; this process receives it afterwards.

    A child can only choose to ignore Ctrl-C once it runs; during its first second of imports an interrupt would end it
    with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting multiprocessing's resource tracker unblocks Ctrl-C, so it must be started first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Ignore stop signals in a child process; the parent receives them too, and ends its children."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def own_group() -> dict[str, Any]:
    """Return the arguments of ``subprocess.Popen`` with which Ctrl-C in a terminal does not reach the child."""
    if hasattr(subprocess, "CREATE_NEW_PROCESS_GROUP"):
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a child of :func:`own_group` to save its work and end."""
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


def host_name() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


@functools.cache
def _host() -> str:
    return hashlib.sha256(host_name().encode("utf-8", "surrogateescape")).hexdigest()[:6]


@functools.cache
def _started(pid: int) -> int:
    return int(psutil.Process(pid).create_time())
