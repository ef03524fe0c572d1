"""Parsing one video of any length by overlapping windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from avparse.data.features import Features
from avparse.models.output import KEPT, VIDEO_LEVEL, Parse, ParserOutput


@torch.no_grad()
def predict_windows(
    parser: Parse,
    streams: Mapping[str, Tensor],
    audio_present: Tensor,
    visual_present: Tensor,
    window: int,
    batch_size: int = 64,
) -> ParserOutput:
    """Parse one video of any length with windows of the length that the parser was trained on.

    Windows of ``window`` segments start every half window; the last one ends with the video. Where windows overlap,
    segment and gate probabilities and attention are averaged with weights that fall linearly towards a window's edges,
    so the result changes smoothly. A video of at most one window is parsed whole.

    Args:
        parser: parser in evaluation mode.
        streams: features ``[T, D]`` of the video by stream name.
        audio_present: boolean ``[T]``, whether there is sound in a segment.
        visual_present: boolean ``[T]``, whether there is a picture in a segment.
        window: number of segments in a window.
        batch_size: number of windows that are parsed at once; it bounds the memory.

    Returns:
        A batch of one video: ``audio_segments`` and ``visual_segments`` ``[1, T, C]``. The video-level probabilities
        (gates) are ``[1, T, C]`` too, averaged over the windows around each segment. ``attention`` ``[2, 1, T, C]``,
        where the parser has one, is a segment's share of the attention in the windows around it.
    """
    total = len(audio_present)
    size = min(window, total)
    starts = np.unique(np.append(np.arange(0, total - size, max(1, size // 2)), total - size))
    rows = torch.from_numpy(starts[:, None] + np.arange(size))  # [W, size]
    ramp = torch.minimum(torch.arange(1, size + 1), torch.arange(size, 0, -1)).float().unsqueeze(-1)  # [size, 1]
    sums: dict[str, Tensor] = {}
    weight = torch.zeros(total, 1)
    for piece in torch.split(rows, batch_size):
        features = Features(
            {name: stream[piece] for name, stream in streams.items()},
            _mask(audio_present[piece]),
            _mask(visual_present[piece]),
        )
        where = piece.reshape(-1)
        weight.index_add_(0, where, ramp.repeat(len(piece), 1))
        for name, value in parser(features).kept().items():
            value = value.unsqueeze(1).expand(-1, size, -1) if name in VIDEO_LEVEL else value
            weighted = (value * ramp).flatten(-3, -2)  # [..., W size, C]
            total_sum = sums.setdefault(name, weighted.new_zeros(*weighted.shape[:-2], total, weighted.shape[-1]))
            total_sum.index_add_(-2, where, weighted)
    return ParserOutput.from_kept({name: (value / weight).unsqueeze(KEPT[name]) for name, value in sums.items()})


def _mask(present: Tensor) -> Tensor | None:
    return None if bool(present.all()) else present
