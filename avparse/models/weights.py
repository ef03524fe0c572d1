"""Reading of weight files without running code from them, and loading of weights into a parser by name."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from avparse.foundation.errors import UserError

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors by name: ``.safetensors``, or a state dict written by ``torch.save``.

    A pickle may hold instructions; only those that make tensors and plain containers are followed, and any other is
    refused before it has any effect.

    Raises:
        UserError: the file cannot be read, would run code, or holds something other than finite tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # about pickle versions, before the refusal
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        wants = f" and would run {wanted[1]}" if wanted else ""
        raise UserError(
            f"{path}: holds more than tensors by name{wants}; refused, and nothing was run: save its state_dict() alone"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
        raise UserError(f"{path}: not a file of weights, or damaged ({' '.join(str(e).split())[:120]})") from None
    while isinstance(found, Mapping) and (inner := next((w for w in _WRAPPERS if w in found), None)):
        found = found[inner]
    if not isinstance(found, Mapping) or not found:
        raise UserError(f"{path}: holds a {type(found).__name__} instead of tensors by name; save a state_dict()")
    other = [str(name) for name, value in found.items() if not isinstance(value, Tensor)]
    if other:
        raise UserError(f"{path}: not tensors: {', '.join(other)}; save a state_dict() alone")
    weights = {str(name): value.detach() for name, value in found.items()}
    broken = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise UserError(f"{path}: not finite: {', '.join(broken)}")
    return weights


def load_weights(parser: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load ``weights`` into a parser.

    Args:
        parser: module whose parameters and buffers are set.
        weights: one tensor for each parameter and buffer; those of its guides, which parsing does not need, may be left
            out.
        what: name of the weights in the error message.

    Raises:
        UserError: tensors are missing, unexpected or of another shape; each is named.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in parser.state_dict().items()}
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
