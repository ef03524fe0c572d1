"""Feature maps of CLAP's audio network as vectors of segments."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_BINS = 2  # of frequency, in the last map of the network (HTSAT-tiny)
_STEPS = 1024  # of time, that the map is stretched to


def pool_maps(maps: Tensor, segments: int) -> Tensor:
    """Return ``[..., segments, D]`` for maps ``[..., 2 * steps, D]`` of whole clips, frequency slow (VALOR++).

    The map is stretched to 1024 steps (bicubic) and averaged over frequency and within each segment. VALOR++ does that
    after a linear layer, which makes no difference: all of it are means.
    """
    *lead, positions, width = maps.shape
    rows = maps.reshape(-1, _BINS, positions // _BINS, width).mean(dim=1)  # [N, steps, D]
    stretched = functional.interpolate(rows.transpose(1, 2).unsqueeze(2), size=(1, _STEPS), mode="bicubic")
    pooled = functional.adaptive_avg_pool1d(stretched.squeeze(2), segments)  # [N, D, segments]
    return pooled.transpose(1, 2).reshape(*lead, segments, width)
