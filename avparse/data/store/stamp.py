"""Stamps of the sources of features, by which a source that has changed is found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.foundation.platform import open_regular

_READ_BYTES = 1 << 20
_TIMES = 1 << 62  # times of several files are added, and the sum is kept within 63 bits


@dataclass(frozen=True)
class Stamp:
    """What a source was when its features were made.

    Attributes:
        size: bytes of its content.
        sha256: first 16 hexadecimal digits of the SHA-256 of its content; empty if the source is not known.
        modified_ns: time of its last change in nanoseconds; where it is the same, the content need not be read again.
    """

    size: int = 0
    sha256: str = ""
    modified_ns: int = 0

    def same_content(self, other: Stamp) -> bool:
        """Return whether both are stamps of the same content."""
        return (self.size, self.sha256) == (other.size, other.sha256)


UNKNOWN = Stamp()


def modified_ns(files: Iterable[Path]) -> int:
    """Return the times of the last change of some files as one number.

    Raises:
        OSError: a file is not there.
    """
    return sum(path.stat().st_mtime_ns for path in files) % _TIMES


def stamp_of_file(path: Path) -> Stamp:
    """Return the stamp of a file.

    Raises:
        OSError: the file cannot be read.
    """
    time = modified_ns([path])  # before the content, so that a change while it is read is noticed the next time
    found = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(_READ_BYTES):
            found.update(piece)
        return Stamp(file.tell(), found.hexdigest()[:16], time)


def stamp_of_arrays(arrays: Iterable[npt.NDArray[Any]], time: int) -> Stamp:
    """Return the stamp of published features.

    Args:
        arrays: features of one video, an array a stream.
        time: time of the last change of their files, of :func:`modified_ns`.
    """
    size, found = 0, hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        size += array.nbytes
    return Stamp(size, found.hexdigest()[:16], time)


def has_changed(stamp: Stamp, path: Path) -> bool:
    """Return whether a file is another one than that of a stamp; nothing is known to have changed of an unknown one.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    if not stamp.sha256 or (status.st_size, status.st_mtime_ns % _TIMES) == (stamp.size, stamp.modified_ns):
        return False
    return status.st_size != stamp.size or not stamp.same_content(stamp_of_file(path))
