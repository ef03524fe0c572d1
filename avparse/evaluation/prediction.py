"""Prediction for the videos of a store, and for long videos by overlapping windows."""

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
_VIDEOS = ("audio", "visual", "video")
# Fields of an output that are kept, each with the dimension that counts the videos.
_BATCH = {"audio_segments": 0, "visual_segments": 0, **dict.fromkeys(_VIDEOS, 0), "attention": 1}


@torch.no_grad()
def predict(parser: Parse, table: FeatureTable, indices: Indices, batch_size: int = 128) -> ParserOutput:
    """Return the parser's output for the videos at ``indices`` ``[N]`` of a store.

    Args:
        parser: parser in evaluation mode.
        table: feature table that the videos are read from.
        indices: positions ``[N]`` of the videos in the store.
        batch_size: number of videos that are parsed at once.

    Returns:
        Probabilities on the CPU in float32: segments ``[N, T, C]``, padded to the longest video, and videos ``[N, C]``.
        The attention ``[2, N, T, C]`` is kept where the parser has one; hidden segments are not kept.

    Example:
        >>> output = predict(parser, FeatureTable(store), store.select("test"))  # doctest: +SKIP
        >>> output.audio_segments.shape  # doctest: +SKIP
        torch.Size([1200, 10, 25])
    """
    longest = int(table.store.lengths[indices].max())
    parts = [_results(parser(table.batch(piece).features)) for piece in batches(indices, batch_size)]
    return _output(
        {
            name: torch.cat([part[name] if name in _VIDEOS else _pad(part[name], longest) for part in parts], dim=dim)
            for name, dim in _BATCH.items()
            if name in parts[0]
        }
    )


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
        for name, value in _results(parser(features)).items():
            value = value.unsqueeze(1).expand(-1, size, -1) if name in _VIDEOS else value
            weighted = (value * ramp).flatten(-3, -2)  # [..., W size, C]
            total_sum = sums.setdefault(name, weighted.new_zeros(*weighted.shape[:-2], total, weighted.shape[-1]))
            total_sum.index_add_(-2, where, weighted)
    return _output({name: (value / weight).unsqueeze(_BATCH[name]) for name, value in sums.items()})


def _output(values: Mapping[str, Tensor]) -> ParserOutput:
    return ParserOutput(
        audio_segments=values["audio_segments"],
        visual_segments=values["visual_segments"],
        audio=values["audio"],
        visual=values["visual"],
        video=values["video"],
        attention=values.get("attention"),
    )


def _results(output: ParserOutput) -> dict[str, Tensor]:
    """Return the fields of an output that are kept, on the CPU in float32."""
    values = {name: getattr(output, name) for name in _BATCH}
    return {name: value.float().cpu() for name, value in values.items() if value is not None}


def _pad(segments: Tensor, longest: int) -> Tensor:
    return functional.pad(segments, (0, 0, 0, longest - segments.shape[-2]))


def _mask(present: Tensor) -> Tensor | None:
    return None if bool(present.all()) else present
