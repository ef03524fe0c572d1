"""Recurrent networks over the segments of a video."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avparse.foundation.errors import UserError

State = tuple[Tensor, Tensor]


class SegmentLSTM(nn.Module):
    """An LSTM in both directions over the real segments of a modality; it steps over the others as if they were not.

    Args:
        size: of a segment.
        hidden: of each direction.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map ``[B, T, size]`` to ``[B, T, 2 hidden]``; zero where ``mask`` ``[B, T]`` marks no real segment."""
        return self.run(x, mask)[0]

    def run(self, x: Tensor, mask: Tensor | None, start: State | None = None) -> tuple[Tensor, State]:
        """Do the same from other states than zero, and return the last ones too.

        Args:
            x: ``[B, T, size]``.
            mask: ``[B, T]`` marks real segments.
            start: output and cell at which both directions start, each ``[2, B, hidden]``.

        Returns:
            What :meth:`forward` returns, and the last output and cell of each direction; zero for a video without any
            real segment.
        """
        if mask is None:
            read, last = self.lstm(x, start)
            return read, last
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True).unsqueeze(-1)  # the real ones first, in their order
        lengths = mask.sum(dim=1).clamp_min(1).cpu()
        packed = pack_padded_sequence(x.gather(1, order.expand_as(x)), lengths, batch_first=True, enforce_sorted=False)
        made, (output, cell) = self.lstm(packed, start)
        out, _ = pad_packed_sequence(made, batch_first=True, total_length=x.shape[1])
        read = torch.zeros_like(out).scatter(1, order.expand_as(out), out).masked_fill(~mask.unsqueeze(-1), 0.0)
        absent = ~mask.any(dim=1, keepdim=True)  # its first segment was read, as an LSTM reads at least one
        return read, (output.masked_fill(absent, 0.0), cell.masked_fill(absent, 0.0))


def direction(width: int, encoder: str) -> int:
    """Return the size of a direction where both together make ``width``.

    Raises:
        UserError: it is odd.
    """
    if width % 2:
        raise UserError(f"encoder '{encoder}': two directions cannot share a width of {width}; choose an even one")
    return width // 2
