"""Estimation of label noise where the truth is unknown: the share of wrong labels per class, with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.foundation.interval import Interval
from avparse.labels.statistics.rates import RightRates


@dataclass(frozen=True)
class NoiseRates:
    """Estimated share of wrong labels, in percent, with intervals.

    Attributes:
        level: probability that an interval holds the real share.
        total: estimate over all classes, by modality.
        per_class: estimate by modality and class; classes without a label are left out.
        labels: number of labels of each class.
    """

    level: float
    total: Mapping[str, Interval]
    per_class: Mapping[str, Mapping[str, Interval]]
    labels: Mapping[str, int]

    def as_markdown(self, per_class: bool = True) -> str:
        """Return a table with a row for all classes together and, on request, a row per class."""
        lines = [
            f"Estimated wrong labels in percent, with {100 * self.level:g} % intervals.",
            "",
            f"| class | labels | {' | '.join(MODALITIES)} |",
            "|---|---:|" + "---:|" * len(MODALITIES),
            f"| all | {sum(self.labels.values())} | {' | '.join(str(self.total[m]) for m in MODALITIES)} |",
        ]
        lines += [
            f"| {name} | {count} | {' | '.join(str(self.per_class[m][name]) for m in MODALITIES)} |"
            for name, count in self.labels.items()
            if per_class and count
        ]
        return "\n".join(lines) + "\n"


def estimate_noise_rates(
    labels: Tensor,
    rates: RightRates,
    classes: Sequence[str],
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> NoiseRates:
    """Estimate the share of wrong labels per modality and class, without truth.

    Each draw samples the share of right labels of each class from its posterior, then how many of the labels are right
    at that share; the share of wrong labels is one possible answer, and the interval holds the middle ``level`` of the
    answers. It covers both the uncertainty from few videos with truth and the chance in the labels themselves.

    Assumptions: (1) labels of a class are right equally often here and among the videos with truth, as they were given
        in the same way; (2) labels are wrong independently of each other.

    Args:
        labels: labels ``[N, C]`` whose noise is estimated.
        rates: shares of right labels of each class, fitted on other videos with truth.
        classes: names of the C classes.
        level: probability that an interval should hold the real share.
        draws: number of random draws.
        seed: seed of the random draws.

    Raises:
        UserError: there is no label, or ``level`` lies outside (0, 1).
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    count = labels.bool().sum(dim=0).double()
    if not count.any():
        raise UserError("no label to estimate the noise of; give labelled videos")
    generator = torch.Generator().manual_seed(seed)
    right = rates.draw(draws, generator)  # [2, C, draws]
    wrong = torch.binomial(count[:, None].expand_as(right), 1 - right, generator)
    total, per_class = {}, {}
    for modality, side in zip(MODALITIES, wrong, strict=True):
        total[modality] = _interval(side.sum(dim=0) / count.sum(), level)
        shares = zip(classes, side, count, strict=True)
        per_class[modality] = {name: _interval(w / n, level) for name, w, n in shares if n > 0}
    return NoiseRates(level, total, per_class, dict(zip(classes, count.int().tolist(), strict=True)))


def _interval(share: Tensor, level: float) -> Interval:
    low, high = np.quantile(100 * share.numpy(), [(1 - level) / 2, (1 + level) / 2])
    return Interval(100 * float(share.mean()), float(low), float(high))
