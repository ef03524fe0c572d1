"""Dropout whose random numbers are cheap on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 1 << 16


def drop(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Zero each value with probability ``p`` and scale the others, so that the mean is kept (Srivastava et al., 2014).

    On the CPU, PyTorch draws a double for every value, which is slow compared with bfloat16 products. Here one draw of
    64 bits decides about four values, so ``p`` is a multiple of 2^-16, and the mask is stored as bytes.
    """
    cut = round(p * _LEVELS)
    if not training or not cut:
        return x
    if x.device.type != "cpu":
        return functional.dropout(x, p)
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    dropped = (draws.view(torch.int16)[: x.numel()] < cut - _LEVELS // 2).view(x.shape)
    return (x * (_LEVELS / (_LEVELS - cut))).masked_fill(dropped, 0.0)
