"""Estimation of label noise where the truth is unknown: the share of wrong labels per class, with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.bootstrap import Interval
from avparse.foundation.errors import UserError
from avparse.labels.statistics.calibration import LabelCalibration


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
    probabilities: Tensor,
    labels: Tensor,
    calibration: LabelCalibration,
    classes: Sequence[str],
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> NoiseRates:
    """Estimate the share of wrong labels per modality and class, without truth.

    Each draw samples the calibration curve of each class from its posterior, then the truth of every label from that
    curve; the share of wrong labels is one possible answer, and the interval holds the middle ``level`` of the answers.
    It covers both the uncertainty from few calibration videos and the chance in the labels themselves.

    Assumptions: (1) among labelled videos of a class, videos with the same parser probability have a right label
        equally often here and in the calibration set (labels were given in the same way; the content may differ in how
        often the parser is confident); (2) the parser was trained on neither set, or is at least equally confident on
        both, because a network that was trained on a wrong label learns to predict it: use probabilities of held-out
        folds for training videos; (3) the share of right labels is a sigmoid of the parser's logit; (4) labels are
        wrong independently of each other.

    Args:
        probabilities: video-level probabilities ``[2, N, C]`` of the parser for audio and visual.
        labels: labels ``[N, C]`` whose noise is estimated.
        calibration: calibration that was fitted on videos with truth.
        classes: names of the C classes.
        level: probability that an interval should hold the real share.
        draws: number of random draws.
        seed: seed of the random draws.

    Raises:
        UserError: there is no label, or ``level`` lies outside (0, 1).
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    given = labels.bool()
    if not bool(given.any()):
        raise UserError("no label to estimate the noise of; give labelled videos")
    generator = torch.Generator().manual_seed(seed)
    evidence, curves = calibration.evidence(probabilities), calibration.draw(draws, generator)
    count = given.sum(dim=0)
    total, per_class = {}, {}
    for m, modality in enumerate(MODALITIES):
        wrong = torch.zeros(len(classes), draws, dtype=torch.float64)
        for c in range(len(classes)):
            holds = (curves[m, c] @ evidence[m, given[:, c], c].T).sigmoid()  # [draws, n]
            truth = torch.rand(holds.shape, generator=generator, dtype=torch.float64) < holds
            wrong[c] = (~truth).sum(dim=1)
        per_class[modality] = {
            classes[c]: _interval(wrong[c] / count[c], level) for c in range(len(classes)) if count[c] > 0
        }
        total[modality] = _interval(wrong.sum(dim=0) / count.sum(), level)
    return NoiseRates(level, total, per_class, dict(zip(classes, count.tolist(), strict=True)))


def _interval(share: Tensor, level: float) -> Interval:
    low, high = np.quantile(100 * share.numpy(), [(1 - level) / 2, (1 + level) / 2])
    return Interval(100 * float(share.mean()), float(low), float(high))
