"""Attention over the segments of one video, the same weights for both modalities."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SegmentAttention(nn.Module):
    """Multi-head attention whose queries, keys and values come from one projection.

    Args:
        width: feature size D.
        heads: number of heads; must divide ``width``.
        dropout: probability of dropping an attention weight in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project_in.weight)
        nn.init.zeros_(self.project_in.bias)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, x: Tensor, key_mask: Tensor | None, across: bool) -> Tensor:
        """Attend.

        Args:
            x: ``[2, B, T, D]``, audio then visual.
            key_mask: ``[2, B, T]`` boolean, True where a segment may be attended to; None for all.
            across: each modality attends to the other one instead of itself.

        Returns:
            ``[2, B, T, D]``. Where nothing may be attended to, the output is the bias of the last projection.
        """
        two, batch, segments, width = x.shape
        query, key, value = self.project_in(x).chunk(3, dim=-1)
        if across:
            key, value = key.flip(0), value.flip(0)
            key_mask = None if key_mask is None else key_mask.flip(0)
        size = width // self.heads

        def split(y: Tensor) -> Tensor:
            return y.reshape(two * batch, segments, self.heads, size).transpose(1, 2)  # [2B, heads, T, D/heads]

        logits = split(query) @ split(key).transpose(-1, -2) * size**-0.5
        if key_mask is None:
            weights = logits.softmax(dim=-1)
        else:
            allowed = key_mask.reshape(two * batch, 1, 1, segments)
            weights = logits.masked_fill(~allowed, torch.finfo(logits.dtype).min).softmax(dim=-1) * allowed
        weights = functional.dropout(weights, self.dropout, self.training)
        mixed = (weights.to(value.dtype) @ split(value)).transpose(1, 2)
        attended: Tensor = self.project_out(mixed.reshape(two, batch, segments, width))
        return attended


def stack_masks(audio_mask: Tensor | None, visual_mask: Tensor | None, x: Tensor) -> Tensor | None:
    """Return ``[2, B, T]`` for stacked ``x`` ``[2, B, T, D]``, or None where neither modality is masked."""
    if audio_mask is None and visual_mask is None:
        return None
    everything = torch.ones(x.shape[1:3], dtype=torch.bool, device=x.device)
    return torch.stack(
        (everything if audio_mask is None else audio_mask, everything if visual_mask is None else visual_mask)
    )
