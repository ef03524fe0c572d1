"""Weights from elsewhere: read without running anything, and put into a parser by name."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular
from avparse.foundation.reading import check_file

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_MOST_WRAPPERS = 4
_MOST_PICKLE_BYTES = 64 << 20  # names and shapes alone; the numbers lie beside
_SEAL = "sha256"
_TYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
_TYPES |= {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_NAMED = 5


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors by name: ``.safetensors``, or a state dict written by ``torch.save``.

    A pickle may hold instructions; only those that make tensors and plain containers are followed, and any other is
    refused before it has any effect.

    Raises:
        UserError: the file cannot be read, would run code, or holds something other than dense, finite tensors by
            name.
    """
    check_file(path, mend="get it again")
    found = _load_safetensors(path)[0] if path.suffix == ".safetensors" else _unwrapped(path, _unpickled(path))
    other = [str(name)[:80] for name, value in found.items() if not isinstance(value, Tensor)]
    if other:
        raise UserError(f"{path}: not tensors: {_some(other)}; save a state_dict() alone")
    weights = {str(name): value.detach() for name, value in found.items()}
    partial = [name for name, value in weights.items() if not _is_plain(value)]
    if partial:
        raise UserError(
            f"{path}: no plain tensors that hold all their numbers: {_some(partial)}; "
            "save them dense, contiguous and on the CPU"
        )
    if sum(value.nbytes for value in weights.values()) > 4 * path.stat().st_size + (1 << 20):
        raise UserError(f"{path}: its tensors are larger than the file that holds them; save each once")
    broken = _not_finite(weights)
    if broken:
        raise UserError(f"{path}: not finite: {_some(broken)}")
    return weights


def sealed_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Return the content of a safetensors file of ``weights`` with the SHA-256 of all that it holds."""
    contents = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One entry alone: the library writes several in an order of chance, and equal weights are to be equal files.
    return save(contents, metadata={_SEAL: _digest(contents)})


def read_sealed(path: Path, required: bool) -> dict[str, Tensor]:
    """Read weights that :func:`sealed_bytes` made.

    Args:
        path: path of the file.
        required: whether weights without a digest are refused; runs of earlier versions have none.

    Raises:
        UserError: the file is damaged, or its digest is another or missing.
    """
    check_file(path)
    weights, about = _load_safetensors(path)
    seal = about.get(_SEAL)
    if (seal is None and required) or (seal is not None and seal != _digest(weights)):
        raise UserError(f"{path}: its checksum is {'wrong' if seal else 'missing'}, so it was changed; restore it")
    return weights


def _load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
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
    """Return the state dict out of what is known to lie around one."""
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


def _not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    return [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]


def _digest(weights: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def load_weights(parser: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load ``weights`` into a parser.

    Args:
        parser: module whose parameters and buffers are set.
        weights: one tensor for each parameter and buffer; those of its guides, which parsing does not need, may be left
            out.
        what: name of the weights in the error message.

    Raises:
        UserError: tensors are missing, unexpected, of another shape or not finite; each is named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in parser.state_dict().items()}
    fresh = set(_not_finite(parser.state_dict()))  # what is NaN until it is given, such as vectors of labels
    broken = [name for name in _not_finite(weights) if name not in fresh]
    if broken:
        raise UserError(f"{what}: weights that are no numbers: {_some(broken)}; restore the file or train again")
    problems = [f"missing {n}" for n in expected if n not in weights and not n.startswith("guides.")]
    problems += [f"unexpected {name}" for name in weights if name not in expected]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if problems:
        raise UserError(f"{what}: not weights of this parser: {', '.join(problems)}")
    parser.load_state_dict({**parser.state_dict(), **weights})
