"""Weights of parsers: sealed with a digest in run folders, and put into a parser by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.reading import check_file
from avparse.foundation.tensors import load_safetensors, mismatches, not_finite, some_of

_SEAL = "sha256"


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
    weights, about = load_safetensors(path)
    seal = about.get(_SEAL)
    if (seal is None and required) or (seal is not None and seal != _digest(weights)):
        raise UserError(f"{path}: its checksum is {'wrong' if seal else 'missing'}, so it was changed; restore it")
    return weights


def _digest(weights: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


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
    fresh = set(not_finite(parser.state_dict()))  # what is NaN until it is given, such as vectors of labels
    broken = [name for name in not_finite(weights) if name not in fresh]
    if broken:
        raise UserError(f"{what}: weights that are no numbers: {some_of(broken)}; restore the file or train again")
    needed = {n: shape for n, shape in expected.items() if n in weights or not n.startswith("guides.")}
    problems = mismatches(needed, weights)
    if problems:
        raise UserError(f"{what}: not weights of this parser: {', '.join(problems)}")
    parser.load_state_dict({**parser.state_dict(), **weights})
