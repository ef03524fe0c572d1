"""VGGish in plain NumPy, written from its description and independently of the one in the package."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor


def plain_vggish(state: Mapping[str, Tensor], picture: np.ndarray) -> np.ndarray:
    """Return the features ``[128]`` of one log-mel picture ``[96, 64]``; convolutions are sums of shifted products."""
    weight = {name: value.double().numpy() for name, value in state.items()}
    maps = picture[None].astype(np.float64)  # [channels, time, frequency]
    for layer, pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        kernel, bias = weight[f"features.{layer}.weight"], weight[f"features.{layer}.bias"]
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
        height, width = maps.shape[1:]
        summed = sum(
            np.tensordot(kernel[:, :, y, x], padded[:, y : y + height, x : x + width], axes=1)
            for y in range(3)
            for x in range(3)
        )
        maps = np.maximum(summed + bias[:, None, None], 0)
        if pooled:
            maps = maps.reshape(len(maps), height // 2, 2, width // 2, 2).max(axis=(2, 4))
    flat = np.array([maps[c, t, f] for t in range(6) for f in range(4) for c in range(512)])
    for layer in (0, 2, 4):
        flat = np.maximum(weight[f"embeddings.{layer}.weight"] @ flat + weight[f"embeddings.{layer}.bias"], 0)
    return flat
