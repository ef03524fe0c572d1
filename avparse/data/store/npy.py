"""Headers of ``.npy`` files, checked before anything is allocated, and written so that they can grow in place.

A header is text of a Python dictionary (dtype, order, shape) that numpy reads with ``literal_eval``; nothing is
unpickled here, and a file that declares more bytes than it has is refused without an allocation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from avparse.foundation.errors import UserError

HEADER_BYTES = 128
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Header:
    """What an ``.npy`` file declares; the data begin at byte ``start``."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def read_header(file: BinaryIO, path: str | os.PathLike[str], rows: int | None = None) -> Header:
    """Read the header of an open ``.npy`` file and leave the position at the data.

    Args:
        file: open at its beginning.
        path: named in errors.
        rows: how many rows must be there; all that are declared if not given.

    Raises:
        UserError: not an ``.npy`` file, an object array, or fewer bytes than declared.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = _READERS[version](file)
    except (ValueError, SyntaxError, TypeError, TokenError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: not a readable .npy file ({_one_line(error)}); make it again") from None
    if dtype.hasobject:
        raise UserError(f"{path}: holds Python objects, which are never unpickled; save a plain float array")
    header = Header(shape, dtype, fortran, file.tell())
    needed = shape if rows is None else (rows, *shape[1:])
    declared, size = header.start + prod(needed) * dtype.itemsize, os.fstat(file.fileno()).st_size
    if declared > size:
        raise UserError(f"{path}: truncated ({size} of {declared} bytes); make it again")
    return header


def read_data(file: BinaryIO, header: Header) -> npt.NDArray[Any]:
    """Read the array that follows ``header`` in ``file``."""
    flat = np.fromfile(file, header.dtype, prod(header.shape))
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def grown_header(dtype: np.dtype[Any], shape: tuple[int, int]) -> bytes:
    """Return a header of always ``HEADER_BYTES`` bytes, so that a longer shape can replace it in place."""
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": tuple(shape)}).encode("ascii")
    prefix = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return prefix + text.ljust(HEADER_BYTES - len(prefix) - 1) + b"\n"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
