"""How often given labels are right in each modality, class by class, with what is not known about it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from avparse.foundation.logistic import fit_logistic
from avparse.labels.statistics.prior import check_labels

_ROUNDS = 20
_PRIOR_CLASSES, _PRIOR_VARIANCE = 2.0, 1.0  # imaginary classes that keep the spread between classes from vanishing
_NODES, _REACH = 15, 4.5  # points of the grid of a class, and how many deviations they reach


@dataclass(frozen=True)
class RightRates:
    """Distribution of the share of right labels of each class and modality, after some labels were seen with truth.

    The logits of the shares of a modality have a common normal prior, whose mean and variance are learned from all
    classes (empirical Bayes): a class with few labels is drawn towards the others, and one without follows them.

    Attributes:
        nodes: possible logits ``[2, C, G]`` of the share of each class, for audio and visual.
        mass: posterior probability ``[2, C, G]`` of each node, given the mean of the prior.
        pull: share ``[2, C]`` of a move of that mean by which each class follows.
        mean_variance: variance ``[2]`` of that mean.
    """

    nodes: Tensor
    mass: Tensor
    pull: Tensor
    mean_variance: Tensor

    @classmethod
    def fit(cls, labels: Tensor, truth: Tensor) -> RightRates:
        """Fit on videos with truth.

        Args:
            labels: given labels ``[N, C]``.
            truth: whether the class occurs in audio and in visual, ``[2, N, C]``.

        Raises:
            UserError: the shapes disagree, or there is no label at all.
        """
        given, right = check_labels(labels, truth)
        count = given.sum(dim=0).double()
        sides = [_posterior((side & given).sum(dim=0).double(), count) for side in right]
        return cls(*(torch.stack(part) for part in zip(*sides, strict=True)))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return ``count`` possible shares of right labels, ``[2, C, count]``, between 0 and 1.

        All classes of a modality follow the same draws of the prior's mean.
        """
        sides, classes, nodes = self.mass.shape
        index = torch.multinomial(self.mass.reshape(-1, nodes), count, replacement=True, generator=generator)
        drawn = self.nodes.reshape(-1, nodes).gather(1, index).view(sides, classes, count)
        moved = torch.randn(sides, count, generator=generator, dtype=torch.float64) * self.mean_variance.sqrt()[:, None]
        return (drawn + self.pull.unsqueeze(-1) * moved.unsqueeze(1)).sigmoid()


def _posterior(right: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return nodes, mass, pull and variance of the mean of one modality, from numbers of right and of all labels.

    Prior and posterior are found by turns (EM). The posterior of a class is evaluated on a grid around its maximum:
    with few labels it is too skewed for a normal distribution.

    Args:
        right: number ``[C]`` of labels that are right.
        count: number ``[C]`` of labels.
    """
    known = count > 0
    share = (right / count.clamp_min(1)).unsqueeze(-1)  # [C, 1], of one sample a class that weighs as much as all
    grid = torch.linspace(-_REACH, _REACH, _NODES, dtype=torch.float64)
    mean, variance = right.new_zeros(()), right.new_tensor(_PRIOR_VARIANCE)
    for _ in range(_ROUNDS):
        ones = right.new_ones(len(count), 1, 1)
        peak = fit_logistic(ones, share, (1 / variance).expand(len(count), 1), mean, count.unsqueeze(-1))
        nodes = mean + peak.weights + grid * peak.covariance[:, 0].sqrt()  # [C, G]
        score = -((nodes - mean) ** 2) / (2 * variance)
        score = score + right.unsqueeze(-1) * nodes - count.unsqueeze(-1) * functional.softplus(nodes)
        mass = score.softmax(dim=-1)
        centre = (mass * nodes).sum(dim=-1)
        spread = (mass * (nodes - centre.unsqueeze(-1)) ** 2).sum(dim=-1)  # [C]
        used = variance
        mean = centre[known].mean()
        total = ((centre - mean) ** 2 + spread)[known].sum()
        variance = (total + _PRIOR_CLASSES * _PRIOR_VARIANCE) / (known.sum() + _PRIOR_CLASSES)
    learned = (1 / used - spread[known] / used**2).sum()
    return nodes, mass, spread / used, 1 / learned
