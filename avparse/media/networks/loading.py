"""Released weights into networks of this package: every tensor by name, or a line that says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.tensors import mismatches, read_tensors, some_of

Network = TypeVar("Network", bound=nn.Module)
_COUNTER = "num_batches_tracked"  # of batch normalisation, which files of old do not have and inference does not read


def filled(
    network: Network, released: Mapping[str, Tensor], rename: Callable[[str], str | None], path: Path
) -> Network:
    """Put released tensors into a network and freeze it, in float32 and evaluation mode.

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
    problems = mismatches(expected, named)
    if problems:
        raise UserError(f"{path}: not weights of {type(network).__name__}: {some_of(problems)}; fetch them again")
    network.load_state_dict(named, assign=True)
    return network.float().eval().requires_grad_(False)


def load_network(build: Callable[[], Network], path: Path) -> Network:
    """Build a network whose tensors have the names of the released file, and fill it.

    Args:
        build: makes the network; its random weights are never drawn.
        path: path of the file of weights.

    Raises:
        UserError: the file cannot be read, or its tensors are not those of the network.
    """
    released = read_tensors(path)
    with torch.device("meta"):
        network = build()
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(_COUNTER)}
    return filled(network, {**counters, **released}, lambda name: name, path)
