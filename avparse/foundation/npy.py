"""Reading and writing of ``.npy`` headers, checked before memory is allocated, and able to grow in place.

A header is the text of a Python dictionary (dtype, order, shape) that numpy reads with ``literal_eval``. Nothing is
unpickled here, and a file that declares more bytes than it has is refused without an allocation.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from tokenize import TokenError
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from avparse.foundation.errors import UserError
from avparse.foundation.platform import has_holes, open_regular

HEADER_BYTES = 128
_LONGEST_HEADER = 1 << 16
_RATIO, _RATIO_FROM_BYTES = 100, 1 << 20  # of an archive's member: more than arrays of numbers can be compressed
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Python 3.11 counts the depth of a syntax tree once for all threads: two that parse at once can fail (SystemError).
_ONE_PARSES = threading.Lock()


@dataclass(frozen=True)
class Header:
    """Content of the header of an ``.npy`` file; the data begin at byte ``start``."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def read_header(file: BinaryIO, path: str | os.PathLike[str], rows: int | None = None) -> Header:
    """Read the header of an open ``.npy`` file and leave the position at the data.

    Args:
        file: file that is open at its beginning.
        path: path of the file, for error messages.
        rows: number of rows that must be in the file; None for all that are declared.

    Raises:
        UserError: not an ``.npy`` file, an object array, fewer bytes than declared, or (where all rows are asked for)
            a large file that is nearly nothing but holes.
    """
    status = os.fstat(file.fileno())
    if rows is None and has_holes(status):
        raise UserError(f"{path}: {status.st_size} bytes, of which the disk holds next to none; make it again")
    return _read_header(file, path, status.st_size, rows)


def read_npy(path: str | os.PathLike[str], most: int) -> npt.NDArray[Any]:
    """Read an ``.npy`` file of at most ``most`` bytes of data.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        UserError: the header is refused by :func:`read_header`, or the array is larger.
    """
    with open_regular(path) as file:
        header = read_header(file, path)
        _check_size(path, header, most)
        return read_data(file, header)


def read_npz(path: str | os.PathLike[str], names: Sequence[str], most: int) -> dict[str, npt.NDArray[Any]]:
    """Read arrays of an ``.npz`` archive by name, each of at most ``most`` bytes; those that it lacks are left out.

    The declared sizes in the archive's directory and in each array's header are checked before anything is unpacked.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        UserError: the archive is damaged, or an array is larger, compressed far beyond what numbers allow, or of Python
            objects.
    """
    with open_regular(path) as file:
        if has_holes(os.fstat(file.fileno())):
            raise UserError(f"{path}: a large file of which the disk holds next to nothing; make it again")
        try:
            with zipfile.ZipFile(file) as archive:
                members = {m.filename: m for m in archive.infolist()}
                found = {name: member for name in names if (member := members.get(f"{name}.npy")) is not None}
                return {name: _read_member(archive, member, path, most) for name, member in found.items()}
        except UserError:  # a ValueError too
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise UserError(f"{path}: not a readable archive of arrays ({_one_line(error)}); make it again") from None


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | os.PathLike[str], most: int
) -> npt.NDArray[Any]:
    size, where = member.file_size, f"{path}: {member.filename}"
    if size > most + _LONGEST_HEADER or (size > _RATIO_FROM_BYTES and size > _RATIO * member.compress_size):
        raise UserError(f"{where} unpacks to {size} bytes from {member.compress_size}; make the file again")
    with archive.open(member) as content:
        header = _read_header(content, where, size, None)
        _check_size(where, header, most)
        # To the end, where the archive's checksum is compared.
        flat = np.frombuffer(content.read(), header.dtype, prod(header.shape))
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _read_header(file: IO[bytes], path: str | os.PathLike[str], size: int, rows: int | None) -> Header:
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"version {version} of the format")
        if version == (2, 0) and int.from_bytes(file.read(4), "little") > _LONGEST_HEADER:
            raise ValueError("a header that is longer than any array needs")
        file.seek(8)
        with _ONE_PARSES:
            shape, fortran, dtype = _READERS[version](file)
        if not dtype.itemsize or any(n < 0 for n in shape):
            raise ValueError(f"shape {shape} of {dtype}")
    except (ValueError, SyntaxError, TypeError, TokenError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: not a readable .npy file ({_one_line(error)}); make it again") from None
    if dtype.hasobject:
        raise UserError(f"{path}: holds Python objects, which are never unpickled; save a plain float array")
    header = Header(shape, dtype, fortran, file.tell())
    needed = shape if rows is None else (rows, *shape[1:])
    declared = header.start + prod(needed) * dtype.itemsize
    if declared > size:
        raise UserError(f"{path}: truncated ({size} of {declared} bytes); make it again")
    return header


def _check_size(path: str | os.PathLike[str], header: Header, most: int) -> None:
    size = prod(header.shape) * header.dtype.itemsize
    if size > most:
        raise UserError(f"{path}: an array of {size} bytes, at most {most} can be used; give a smaller one")


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
