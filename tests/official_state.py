"""Random weights under the names of released networks that have no golden file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.nn import functional

StateDict = dict[str, torch.Tensor]
LLP_MAPS = {"fc_a": (512, 128), "fc_v": (512, 2048), "fc_st": (512, 512), "fc_fusion": (512, 1024)}


def linear_maps(sizes: Mapping[str, tuple[int, int]]) -> StateDict:
    """Weights and biases of linear maps."""
    state = {f"{name}.weight": 0.03 * torch.randn(*size) for name, size in sizes.items()}
    return state | {f"{name}.bias": 0.03 * torch.randn(size[0]) for name, size in sizes.items()}


def norms(names: Iterable[str], size: int) -> StateDict:
    """Weights and biases of normalisation layers."""
    state = {}
    for name in names:
        state |= {f"{name}.weight": 1 + 0.03 * torch.randn(size), f"{name}.bias": 0.03 * torch.randn(size)}
    return state


def han_encoder(name: str, size: int, outer: int = 512) -> StateDict:
    """One hybrid attention layer, and the two norms that are declared beside it."""
    layer = f"{name}.layers.0"
    maps = {f"{layer}.linear1": (size, size), f"{layer}.linear2": (size, size)}
    maps |= {f"{layer}.{a}.out_proj": (size, size) for a in ("self_attn", "cm_attn")}
    state = (
        linear_maps(maps)
        | norms((f"{layer}.norm1", f"{layer}.norm2"), size)
        | norms((f"{name}.norm1", f"{name}.norm2"), outer)
    )
    for a in ("self_attn", "cm_attn"):
        state[f"{layer}.{a}.in_proj_weight"] = 0.03 * torch.randn(3 * size, size)
        state[f"{layer}.{a}.in_proj_bias"] = 0.03 * torch.randn(3 * size)
    return state


def linear(state: StateDict, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def stem(state: StateDict, streams: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The published stem, in the plainest words."""
    seen = torch.cat((linear(state, "fc_v", streams["frames"]), linear(state, "fc_st", streams["clips"])), -1)
    return linear(state, "fc_a", streams["audio"]), linear(state, "fc_fusion", seen)


def han_layer(state: StateDict, name: str, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """A hybrid attention layer ``[B, N, D]`` as PyTorch's own modules compute it."""

    def norm(which: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.{which}.weight"], state[f"{name}.{which}.bias"])

    def attention(which: str, source: torch.Tensor) -> torch.Tensor:
        module = nn.MultiheadAttention(own.shape[-1], 1, batch_first=True).eval()
        prefix = f"{name}.{which}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return module(own, source, source)[0]

    x = norm("norm1", own + attention("cm_attn", other) + attention("self_attn", own))
    return norm("norm2", x + linear(state, f"{name}.linear2", linear(state, f"{name}.linear1", x).relu()))
