"""Files of tensors by name from elsewhere, read without running anything that is in them."""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular
from avparse.foundation.reading import check_file

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_MOST_WRAPPERS = 4
_MOST_PICKLE_BYTES = 64 << 20  # names and shapes alone; the numbers lie beside
_TYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
_TYPES |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_NAMED = 5
# What a pickled scalar of numpy calls: numbers come of it, and nothing else.
_NUMPY_SCALARS: list[Any] = [
    *((np.int64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (np.dtype, "numpy.dtype"),
    type(np.dtype(np.int64)),
    type(np.dtype(np.float64)),
]
# What a pickled array of floating-point numbers calls besides; an array of objects stays refused.
_NUMPY_ARRAYS: list[Any] = [
    *_NUMPY_SCALARS,
    (np.zeros(0).__reduce__()[0], "numpy.core.multiarray._reconstruct"),
    (np.zeros(0).__reduce__()[0], "numpy._core.multiarray._reconstruct"),
    (np.ndarray, "numpy.ndarray"),
    type(np.dtype(np.float32)),
]


def read_tensors(path: Path, numpy_scalars: bool = False, numpy_arrays: bool = False) -> dict[str, Tensor]:
    """Read a file of tensors by name: ``.safetensors``, or a state dict written by ``torch.save``.

    A pickle may hold instructions; only those that make tensors and plain containers are followed, and any other is
    refused before it has any effect.

    Args:
        path: path of the file.
        numpy_scalars: whether scalars of numpy beside the tensors are read, too (and left out).
        numpy_arrays: whether arrays of numpy in the place of tensors are read, too.

    Raises:
        UserError: the file cannot be read, would run code, or holds something other than dense, finite tensors by
            name.
    """
    check_file(path, mend="get it again")
    if path.suffix == ".safetensors":
        found: Mapping[Any, Any] = load_safetensors(path)[0]
    else:
        allowed = _NUMPY_ARRAYS if numpy_arrays else _NUMPY_SCALARS if numpy_scalars else []
        with torch.serialization.safe_globals(allowed):
            found = _unwrapped(path, _unpickled(path))
        found = {name: _tensor(value) if numpy_arrays else value for name, value in found.items()}
    other = [str(name)[:80] for name, value in found.items() if not isinstance(value, Tensor)]
    if other:
        raise UserError(f"{path}: not tensors: {some_of(other)}; save a state_dict() alone")
    weights = {str(name): value.detach() for name, value in found.items()}
    partial = [name for name, value in weights.items() if not _is_plain(value)]
    if partial:
        raise UserError(
            f"{path}: no plain tensors that hold all their numbers: {some_of(partial)}; "
            "save them dense, contiguous and on the CPU"
        )
    if sum(value.nbytes for value in weights.values()) > 4 * path.stat().st_size + (1 << 20):
        raise UserError(f"{path}: its tensors are larger than the file that holds them; save each once")
    broken = not_finite(weights)
    if broken:
        raise UserError(f"{path}: not finite: {some_of(broken)}")
    return weights


def _tensor(value: Any) -> Any:
    """Return an array of floating-point numbers as a tensor, and anything else as it is."""
    return torch.tensor(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, and what it says of itself."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: not a file of weights, or damaged ({_one_line(error)})") from None


def _unpickled(path: Path) -> Any:
    """Return what ``torch.save`` wrote, if it is plain containers and tensors."""
    try:
        _check_archive(path)
        with warnings.catch_warnings(action="ignore"):  # about pickle versions, before the refusal
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        wants = f" and would run {wanted[1]}" if wanted else ""
        raise UserError(
            f"{path}: holds more than tensors by name{wants}; refused, and nothing was run: save its state_dict() alone"
        ) from None
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: not a file of weights, or damaged ({_one_line(error)})") from None
    except (MemoryError, zipfile.BadZipFile, AssertionError) as error:
        raise UserError(f"{path}: not a file of weights, or damaged ({_one_line(error)})") from None


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is: ``torch.save`` packs nothing."""
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            return  # a form of old, whose tensors are as large as the file
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        size = os.fstat(file.fileno()).st_size
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise UserError(f"{path}: a compressed archive, which torch.save never makes; save the state_dict() again")
    if sum(entry.file_size for entry in entries) > size:
        raise UserError(f"{path}: its archive declares more bytes than the file has; get it again")
    if any(entry.file_size > _MOST_PICKLE_BYTES for entry in entries if entry.filename.endswith(".pkl")):
        raise UserError(f"{path}: names and shapes of more than {_MOST_PICKLE_BYTES >> 20} MiB; get it again")


def _unwrapped(path: Path, found: Any) -> Mapping[Any, Any]:
    """Return the state dict out of what is known to lie around one, or beside one."""
    if isinstance(found, tuple) and found:
        found = found[0]
    for _ in range(_MOST_WRAPPERS):
        inner = next((w for w in _WRAPPERS if w in found), None) if isinstance(found, Mapping) else None
        if inner is None:
            break
        found = found[inner]
    if not isinstance(found, Mapping) or not found:
        raise UserError(f"{path}: holds a {type(found).__name__} instead of tensors by name; save a state_dict()")
    return found


def _is_plain(value: Tensor) -> bool:
    """Return whether every number of a tensor lies in memory of its own."""
    if value.is_meta or value.layout != torch.strided or value.is_quantized or value.is_nested:
        return False
    return value.dtype in _TYPES and value.nbytes <= value.untyped_storage().nbytes()


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors with numbers that are not finite."""
    return [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]


def mismatches(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor]) -> list[str]:
    """Return how tensors by name differ from the names and shapes that are expected, one entry a tensor."""
    return [
        *(f"missing {name}" for name in expected if name not in given),
        *(f"unexpected {name}" for name in given if name not in expected),
        *(
            f"{name} has shape {tuple(given[name].shape)}, expected {shape}"
            for name, shape in expected.items()
            if name in given and tuple(given[name].shape) != shape
        ),
    ]


def some_of(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
