"""Released weights into networks of this package: every tensor by name, or a line that says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.tensors import some_of

Network = TypeVar("Network", bound=nn.Module)


def filled(
    network: Network, released: Mapping[str, Tensor], rename: Callable[[str], str | None], path: Path
) -> Network:
    """Put released tensors into a network and freeze it, in evaluation mode.

    Args:
        network: the network, whose parameters and buffers are all replaced.
        released: tensors by the names of the released file.
        rename: the name of a tensor in ``network``; None for one that it does not need.
        path: file that the tensors come from, for the message.

    Raises:
        UserError: tensors are missing, left over or of another shape; the first few are named.
    """
    named = {new: tensor for name, tensor in released.items() if (new := rename(name)) is not None}
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    problems = [f"missing {name}" for name in expected if name not in named]
    problems += [f"unexpected {name}" for name in named if name not in expected]
    problems += [
        f"{name} has shape {tuple(named[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in named and tuple(named[name].shape) != shape
    ]
    if problems:
        raise UserError(f"{path}: not weights of {type(network).__name__}: {some_of(problems)}; fetch them again")
    network.load_state_dict(named)
    return network.eval().requires_grad_(False)
