"""A cut of log-odds: for classifiers, whose logits are calibrated by their own training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LogOdds:
    """Takes a class for present from one probability of the classifier on.

    The sigmoid of the logit is moved so that the cut comes to lie at one half, because that is where all parsers
    decide.

    Attributes:
        cut: probability of the classifier from which on a class counts as present.
    """

    cut: float = 0.5

    def __call__(self, logits: Tensor, classes: int) -> Tensor:
        """Return the probabilities ``[T, C]``, one half where the classifier's probability is the cut."""
        return (logits[:, :classes] - math.log(self.cut / (1 - self.cut))).sigmoid()
