"""Random weights of published networks in a cache of their own, known to the table by their digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from avparse.media.weights import WEIGHTS
from avparse.media.weights.release import ReleaseFile


def random_state(build: Callable[[], nn.Module], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the tensors of a network, random and of a size that keeps its outputs near one, in half precision."""
    with torch.device("meta"):
        shapes = {name: (value.shape, value.dtype) for name, value in build().state_dict().items()}
    generator, state = torch.Generator().manual_seed(seed), {}
    for name, (shape, dtype) in shapes.items():
        if not dtype.is_floating_point:
            state[name] = torch.zeros(shape, dtype=dtype)
            continue
        value = torch.rand(shape, generator=generator) - 0.5
        if len(shape) > 1:
            value *= (24 / float(np.prod(shape[1:]))) ** 0.5
        elif name.endswith(("running_var", "weight")):
            value = 1 + value
        else:
            value *= 0.2
        state[name] = value.half()
    return state


def keep_weights(folder: Path, name: str, state: dict[str, Any], patch: pytest.MonkeyPatch) -> Path:
    """Write weights into the cache below ``folder``, and let the table hold them for the published ones."""
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    source = ReleaseFile(url=f"https://example.org/{name}-{digest[:8]}.pth", sha256=digest)
    (folder / "weights").mkdir(exist_ok=True)
    path = folder / "weights" / source.file
    path.write_bytes(content.getvalue())
    patch.setenv("AVPARSE_CACHE", str(folder))
    known = WEIGHTS.get(name, WEIGHTS["resnet152"])
    patch.setitem(WEIGHTS, name, replace(known, source=source))
    return path
