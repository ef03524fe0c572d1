"""Prediction for the videos of a store."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.batching import FeatureTable, Indices, batches
from avparse.models.output import KEPT, VIDEO_LEVEL, Parse, ParserOutput


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
    parts = [parser(table.batch(piece).features).kept() for piece in batches(indices, batch_size)]
    return ParserOutput.from_kept(
        {
            name: torch.cat(
                [part[name] if name in VIDEO_LEVEL else _pad(part[name], longest) for part in parts], dim=dim
            )
            for name, dim in KEPT.items()
            if name in parts[0]
        }
    )


def _pad(segments: Tensor, longest: int) -> Tensor:
    return functional.pad(segments, (0, 0, 0, longest - segments.shape[-2]))
