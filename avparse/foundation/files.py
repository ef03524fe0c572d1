"""Atomic files and folders: written under a temporary name, synced to disk, then renamed.

A reader therefore finds either the complete old content or the complete new content, never a part.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from avparse.foundation import platform
from avparse.foundation.errors import UserError

_TEMPORARY = ".tmp-"
_FORGOTTEN_S = 86_400.0  # age in seconds at which a temporary name without an owner may be removed
_swept: set[tuple[int, str]] = set()


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's errors while writing ``path`` into one clear line.

    Raises:
        UserError: the disk is full, the folder is read-only or accepts no files, a parent is not a folder, ``path`` is
            itself a folder, or its name is too long.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space or choose another folder",
            errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
            errno.EFBIG: "the file would be larger than the system allows; choose another folder",
            errno.EROFS: "the file system is read-only; choose another folder",
            errno.EACCES: "permission denied; choose a folder you may write to",
            errno.EPERM: "permission denied; choose a folder you may write to",
            errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
            errno.EEXIST: "a file stands where a folder is needed; choose another place",
            errno.ENOTEMPTY: "it has been made by another process meanwhile; choose another name",
            errno.EISDIR: "a folder stands where a file is needed; choose another name",
            errno.ELOOP: "a link stands there; remove it",
            errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
            errno.ENOENT: "its folder is gone or takes no files; choose another folder",
        }
        reason = reasons.get(error.errno or 0)
        if reason is None:
            raise
        raise UserError(f"cannot write {path}: {reason}") from error


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary binary file next to ``path`` that replaces it when the block ends without an error.

    Raises:
        UserError: the file cannot be written (full disk, read-only folder); nothing is left behind.
    """
    target = Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(target.parent)
        descriptor, name = tempfile.mkstemp(prefix=_own_prefix(), dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~platform.umask())
            platform.replace(name, target)
            platform.sync_folder(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write UTF-8 ``content`` to ``path`` atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str], make: bool = True) -> Iterator[Path]:
    """Yield a temporary folder next to ``path`` that is renamed to it when the block ends without an error.

    Args:
        path: the folder that is there afterwards.
        make: whether the temporary folder is there already when the block begins; otherwise the block makes it.

    Raises:
        UserError: ``path`` exists already, or cannot be written; nothing is left behind.
    """
    target = Path(path)
    if target.exists():
        raise UserError(f"{target} exists already; choose another name or remove it")
    with writing(target), scratch_folder(target.parent) as temporary:
        if not make:
            temporary.rmdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                platform.sync_file(file)
        os.chmod(temporary, 0o777 & ~platform.umask())
        os.rename(temporary, target)
        platform.sync_folder(target.parent)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a temporary folder inside ``parent`` that is removed when the block ends, unless it was renamed."""
    parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(parent)
    temporary = Path(tempfile.mkdtemp(prefix=_own_prefix(), dir=parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder: other processes find all of it or nothing, also if this one is killed meanwhile."""
    with scratch_folder(folder.parent) as temporary:
        folder.rename(temporary / folder.name)


def sweep(folder: Path, locked: bool = False) -> None:
    """Remove temporary files and folders in ``folder`` whose processes have ended.

    Args:
        folder: folder to clean; subfolders are not entered.
        locked: whether the caller holds the lock of the folder, so that no other process is using a temporary name
            there.
    """
    for path in folder.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if locked or _is_left_over(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the hexadecimal SHA-256 of a file's content, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_prefix() -> str:
    return f"{_TEMPORARY}{platform.Owner.this()}-"


def _sweep_once(folder: Path) -> None:
    """Sweep a folder before the first time that this process writes there."""
    known = (os.getpid(), os.path.abspath(folder))
    if known not in _swept:
        _swept.add(known)
        sweep(folder)


def _is_left_over(path: Path) -> bool:
    owner = platform.Owner.parse(path.name.removeprefix(_TEMPORARY).rpartition("-")[0])
    if owner is not None:
        return owner.is_dead()
    return path.lstat().st_mtime < time.time() - _FORGOTTEN_S
