"""How fast a reviewer decides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_PAUSE_S = 60.0  # a longer gap is a break and does not count
_LAST = 50


def decisions_a_minute(times: Sequence[float]) -> float | None:
    """Return the rate over the last decisions, without breaks; None where there are too few to tell.

    Args:
        times: times of decisions in seconds, in order.

    Example:
        >>> decisions_a_minute([0, 2, 4, 500, 502])
        30.0
    """
    last = times[-_LAST:]
    gaps = [b - a for a, b in pairwise(last) if b - a <= _PAUSE_S]
    return 60.0 * len(gaps) / sum(gaps) if len(gaps) > 1 and sum(gaps) > 0 else None
