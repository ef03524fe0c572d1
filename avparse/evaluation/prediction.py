"""Parsing the videos of a store, and long videos by overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.batching import FeatureTable, Indices, batches
from avparse.data.features import Features
from avparse.models.output import ParserOutput

Parse = Callable[[Features], ParserOutput]
_SEGMENTS = ("audio_segments", "visual_segments")
_VIDEOS = ("audio", "visual", "video")


@torch.no_grad()
def predict(parser: Parse, table: FeatureTable, indices: Indices, batch_size: int = 128) -> ParserOutput:
    """Parse the videos at ``indices`` ``[N]`` of a store.

    Returns:
        Probabilities on the CPU in float32, ``[N, T, C]`` padded to the longest video and ``[N, C]``, without hidden.
    """
    longest = int(table.store.lengths[indices].max())
    parts = [parser(table.batch(piece).features) for piece in batches(indices, batch_size)]
    joined = {n: torch.cat([_pad(getattr(p, n).float().cpu(), longest) for p in parts]) for n in _SEGMENTS}
    joined |= {n: torch.cat([getattr(p, n).float().cpu() for p in parts]) for n in _VIDEOS}
    return _output(joined)


@torch.no_grad()
def predict_windows(
    parser: Parse,
    streams: Mapping[str, Tensor],
    audio_present: Tensor,
    visual_present: Tensor,
    window: int,
    batch_size: int = 64,
) -> ParserOutput:
    """Parse one video of any length as it would parse clips of the length it was trained on.

    Windows of ``window`` segments start every half window (the last one ends with the video). Where windows overlap,
    segment and gate probabilities are averaged with weights that fall linearly towards a window's edges, so the
    result changes smoothly; a video of at most one window is parsed whole.

    Args:
        parser: a parser in evaluation mode.
        streams: name -> ``[T, D]``.
        audio_present: ``[T]`` boolean, whether there is sound in a segment.
        visual_present: ``[T]`` boolean, whether there is a picture.
        window: segments.
        batch_size: windows parsed at once, the bound on memory.

    Returns:
        Batch of one: ``audio_segments``, ``visual_segments`` ``[1, T, C]``; the video-level probabilities (gates) are
        ``[1, T, C]`` too, those of the windows around each segment.
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
        output = parser(features)
        where = piece.reshape(-1)
        weight.index_add_(0, where, ramp.repeat(len(piece), 1))
        for name in (*_SEGMENTS, *_VIDEOS):
            value = getattr(output, name).float().cpu()
            value = value if value.dim() == 3 else value.unsqueeze(1).expand(-1, size, -1)  # [W, size, C]
            total_sum = sums.setdefault(name, torch.zeros(total, value.shape[-1]))
            total_sum.index_add_(0, where, (value * ramp).reshape(len(where), -1))
    return _output({name: (value / weight).unsqueeze(0) for name, value in sums.items()})


def _output(values: Mapping[str, Tensor]) -> ParserOutput:
    return ParserOutput(
        audio_segments=values["audio_segments"],
        visual_segments=values["visual_segments"],
        audio=values["audio"],
        visual=values["visual"],
        video=values["video"],
    )


def _pad(segments: Tensor, longest: int) -> Tensor:
    return functional.pad(segments, (0, 0, 0, longest - segments.shape[1]))


def _mask(present: Tensor) -> Tensor | None:
    return None if bool(present.all()) else present
