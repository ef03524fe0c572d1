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


def dhhn() -> StateDict:
    """Random weights under the names and in the shapes of the released DHHN."""
    torch.manual_seed(1)
    heads = dict.fromkeys(("fc_prob", "fc_frame_att", "fc_av_att"), (25, 512))
    state = linear_maps(LLP_MAPS | heads) | han_encoder("hat_encoder", 512)
    for modality in (1, 2):
        for scale, kernel in enumerate((1, 3, 5)):
            name = f"conv_x{modality}.{scale}.blocks.0"
            state[f"{name}.0.weight"] = 0.03 * torch.randn(512, 512, kernel)
            state |= norms((f"{name}.1",), 512)
            state |= {f"{name}.1.running_mean": torch.randn(512), f"{name}.1.running_var": 0.5 + torch.rand(512)}
            state[f"{name}.1.num_batches_tracked"] = torch.tensor(7)
    return state


def cvcms() -> StateDict:
    """Random weights under the names and in the shapes of the released CVCMS."""
    torch.manual_seed(1)
    maps = dict(LLP_MAPS) | dict.fromkeys(("fc_prob", "fc_frame_att", "fc_av_att"), (25, 512))
    maps |= {"fc_occ_class_a": (3200, 512), "fc_occ_class_v": (3200, 512), "fc_occ_class_av": (3200, 1024)}
    maps |= {f"fc_occ_{m}_{kind}": (128, 128) for m in ("a", "v", "av") for kind in "qkv"}
    single = ("fc_occ_prob_a", "fc_occ_prob_v", "fc_occ_frame_prob", "fc_occ_modality_prob")
    state = linear_maps(maps | dict.fromkeys(single, (1, 128)))
    state |= han_encoder("hat_encoder", 512)
    for name in ("av_class_encoder", "frame_att_encoder", "modality_encoder"):
        state |= han_encoder(name, 128)
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
