"""Recurrent networks over the segments of a video."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avparse.foundation.errors import UserError

State = tuple[Tensor, Tensor]


class SegmentLSTM(nn.Module):
    """A bidirectional LSTM over the existing segments of a modality; it skips the others.

    Args:
        size: number of values in a segment.
        hidden: number of hidden units of each direction.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map ``[B, T, size]`` to ``[B, T, 2 hidden]``; zero where ``mask`` ``[B, T]`` marks no existing segment."""
        return self.run(x, mask)[0]

    def run(self, x: Tensor, mask: Tensor | None, start: State | None = None) -> tuple[Tensor, State]:
        """Apply the LSTM from a given initial state, and return the last state too.

        Args:
            x: segments ``[B, T, size]``.
            mask: existing segments ``[B, T]``; None if all exist.
            start: initial output and cell of both directions, each ``[2, B, hidden]``; None for zero.

        Returns:
            The result of :meth:`forward`, and the last output and cell of each direction; zero for a video without any
            existing segment.
        """
        if mask is None:
            read, last = self.lstm(x, start)
            return read, last
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True).unsqueeze(-1)  # existing ones first, in order
        lengths = mask.sum(dim=1).clamp_min(1).cpu()
        packed = pack_padded_sequence(x.gather(1, order.expand_as(x)), lengths, batch_first=True, enforce_sorted=False)
        made, (output, cell) = self.lstm(packed, start)
        out, _ = pad_packed_sequence(made, batch_first=True, total_length=x.shape[1])
        read = torch.zeros_like(out).scatter(1, order.expand_as(out), out).masked_fill(~mask.unsqueeze(-1), 0.0)
        absent = ~mask.any(dim=1, keepdim=True)  # its first segment was read, because an LSTM reads at least one
        return read, (output.masked_fill(absent, 0.0), cell.masked_fill(absent, 0.0))


def direction(width: int, encoder: str) -> int:
    """Return the number of hidden units of a direction when both together have ``width``.

    Raises:
        UserError: ``width`` is odd.
    """
    if width % 2:
        raise UserError(f"encoder '{encoder}': two directions cannot share a width of {width}; choose an even one")
    return width // 2
