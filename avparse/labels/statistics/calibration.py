"""What a parser's probability is worth as evidence that a given label really holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from avparse.foundation.errors import UserError
from avparse.labels.statistics.logistic import fit_logistic

_EPSILON = 1e-4  # scores beyond this are the saturation of a network, not evidence
_ROUNDS = 20
_PRIOR_CLASSES, _PRIOR_VARIANCE = 2.0, 1.0  # imaginary classes that keep the spread between classes from vanishing
_NODES, _REACH = 15, 4.5  # per axis, and how many deviations they reach


@dataclass(frozen=True)
class LabelCalibration:
    """Platt scaling of parser probabilities among *labelled* videos, one sigmoid a class and modality.

    ``P(label holds) = sigmoid(a + b z)`` with z the logit of the parser's probability, standardised. The pairs (a, b)
    of the classes of a modality share a normal prior whose mean and variances are learned from all of them (empirical
    Bayes), so that a class with few labelled videos is drawn towards the others, and one without follows them.

    Attributes:
        centre, scale: ``[2]`` of the logits, for audio and visual.
        nodes: ``[2, C, G, 2]``, possible pairs (a, b) of every class.
        mass: ``[2, C, G]``, their posterior probability, given the mean of the prior.
        pull: ``[2, C, 2, 2]``, how far a class follows when that mean moves.
        mean_covariance: ``[2, 2, 2]``, how uncertain that mean is.
    """

    centre: Tensor
    scale: Tensor
    nodes: Tensor
    mass: Tensor
    pull: Tensor
    mean_covariance: Tensor

    @classmethod
    def fit(cls, probabilities: Tensor, labels: Tensor, truth: Tensor) -> LabelCalibration:
        """Fit on videos with truth, none of which the parser was trained on.

        Args:
            probabilities: ``[2, N, C]`` video-level probabilities of the parser for audio and visual.
            labels: ``[N, C]`` given labels.
            truth: ``[2, N, C]`` whether the class occurs in that modality.

        Raises:
            UserError: shapes that disagree, or no label at all.
        """
        given = labels.bool()
        if probabilities.shape != (2, *given.shape) or truth.shape != probabilities.shape:
            raise UserError(
                f"calibration: probabilities {tuple(probabilities.shape)}, truth {tuple(truth.shape)} and labels "
                f"{tuple(given.shape)} disagree; give [2, N, C], [2, N, C] and [N, C]"
            )
        if not bool(given.any()):
            raise UserError("calibration: no video has a label; give labelled videos with truth")
        logits = _logits(probabilities)
        of_labels = logits[:, given]  # [2, E]
        centre, scale = of_labels.mean(dim=1), of_labels.std(dim=1, correction=0).clamp_min(1e-6)
        z = (logits - centre[:, None, None]) / scale[:, None, None]
        sides = [_posterior(side, right, given) for side, right in zip(z, truth, strict=True)]
        return cls(centre, scale, *(torch.stack(part) for part in zip(*sides, strict=True)))

    def keep_probability(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the probability ``[2, N, C]`` that given labels ``[N, C]`` hold; zero where not given."""
        given, x = labels.bool(), self.evidence(probabilities)
        result = torch.zeros(x.shape[:-1], dtype=torch.float64)
        for m in range(2):
            for c in range(given.shape[1]):
                each = (x[m, given[:, c], c] @ self.nodes[m, c].T).sigmoid()  # [n, G]
                result[m, given[:, c], c] = each @ self.mass[m, c]
        return result

    def evidence(self, probabilities: Tensor) -> Tensor:
        """Return ``[2, N, C, 2]``: one, and the standardised logit z."""
        z = (_logits(probabilities) - self.centre[:, None, None]) / self.scale[:, None, None]
        return torch.stack((torch.ones_like(z), z), dim=-1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return ``[2, C, count, 2]`` possible curves (a, b); all classes follow the same draws of the prior's mean."""
        sides, classes, nodes = self.mass.shape
        index = torch.multinomial(self.mass.reshape(-1, nodes), count, replacement=True, generator=generator)
        drawn = self.nodes.reshape(-1, nodes, 2).gather(1, index.unsqueeze(-1).expand(-1, -1, 2))
        normal = torch.randn(sides, count, 2, generator=generator, dtype=torch.float64)
        moved = normal @ torch.linalg.cholesky(self.mean_covariance).mT  # [2, count, 2]
        curves: Tensor = drawn.view(sides, classes, count, 2) + moved.unsqueeze(1) @ self.pull.mT
        return curves


def _posterior(z: Tensor, right: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return nodes, mass, pull and covariance of the mean for one modality, from z, truth and labels ``[N, C]``.

    Prior and posterior are found by turns (EM). The posterior of a class is evaluated on a grid around its maximum,
    turned and stretched as the curvature there demands: with few labels it is too skewed for a normal distribution.
    """
    x = torch.stack((torch.ones_like(z), z), dim=-1).transpose(0, 1)  # [C, N, 2]
    target, weight, known = right.T.double(), given.T.double(), given.any(dim=0)
    axis = torch.linspace(-_REACH, _REACH, _NODES, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mean, variance = z.new_zeros(2), z.new_full((2,), _PRIOR_VARIANCE)
    for _ in range(_ROUNDS):
        peak = fit_logistic(x, target, (1 / variance).expand(len(x), 2), x @ mean, weight)
        nodes = (mean + peak.weights).unsqueeze(1) + grid @ torch.linalg.cholesky(peak.covariance).mT  # [C, G, 2]
        score = -((nodes - mean) ** 2 / variance).sum(dim=-1) / 2
        for c in range(len(x)):
            logit = nodes[c] @ x[c, given[:, c]].T  # [G, n]
            score[c] += (target[c, given[:, c]] * logit - functional.softplus(logit)).sum(dim=-1)
        mass = score.softmax(dim=-1)
        centre = (mass.unsqueeze(-1) * nodes).sum(dim=1)  # [C, 2]
        around = nodes - centre.unsqueeze(1)
        covariance = torch.einsum("cg,cgi,cgj->cij", mass, around, around)
        used = mean, variance
        mean = centre[known].mean(dim=0)
        spread = ((centre - mean) ** 2 + covariance.diagonal(dim1=1, dim2=2))[known].sum(dim=0)
        variance = (spread + _PRIOR_CLASSES * _PRIOR_VARIANCE) / (known.sum() + _PRIOR_CLASSES)
    precision = torch.diag(1 / used[1])
    learned = (precision - precision @ covariance[known] @ precision).sum(dim=0)
    return nodes, mass, covariance @ precision, torch.linalg.inv(learned)


def _logits(probabilities: Tensor) -> Tensor:
    return probabilities.double().clamp(_EPSILON, 1 - _EPSILON).logit()
