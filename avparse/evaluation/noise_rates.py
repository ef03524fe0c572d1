"""How many labels are wrong, where the truth is unknown: an estimate with an interval, class by class."""

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
        level: share of the intervals that hold the real share.
        total: modality -> over all classes.
        per_class: modality -> class -> estimate; classes without a label are left out.
        labels: class -> number of labels judged.
    """

    level: float
    total: Mapping[str, Interval]
    per_class: Mapping[str, Mapping[str, Interval]]
    labels: Mapping[str, int]

    def as_markdown(self, per_class: bool = True) -> str:
        """Return a table with a row for all classes together and, if wanted, a row a class."""
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
    """Estimate the share of labels that do not hold, per modality and class, without truth.

    For every draw the calibration curve of each class is drawn from its posterior, then the truth of every label from
    that curve; the share of wrong ones is one possible answer, and the interval holds the middle ``level`` of them.
    So it covers both what the few calibration videos leave open and the chance in the labels themselves.

    Assumed: (1) among labelled videos of a class, those with the same parser probability hold their label equally often
    here and in the calibration set (labels were given in the same way; the content may differ in how often the
    parser is sure); (2) the parser was trained on neither set, or at least is as sure on one as on the other, since a
    network that has seen a wrong label comes to believe it: use probabilities of held-out folds for training videos;
    (3) that probability follows a sigmoid in the parser's logit; (4) labels are wrong independently of each other.

    Args:
        probabilities: ``[2, N, C]`` video-level probabilities of the parser for audio and visual.
        labels: ``[N, C]`` the labels to be judged.
        calibration: fitted on videos with truth.
        classes: the C names.
        level: share of the intervals that is to hold the real share.
        draws: number of draws.
        seed: of the draws.

    Raises:
        UserError: no label to judge, or ``level`` outside (0, 1).
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a share between 0 and 1, such as 0.95")
    given = labels.bool()
    if not bool(given.any()):
        raise UserError("no label to judge; give labelled videos")
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
