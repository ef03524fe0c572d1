"""Logistic regression by Newton's method, for many small problems at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_STEPS = 100
_HALVINGS = 30
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LogisticFit:
    """A fitted logistic regression, or a batch of them.

    Attributes:
        weights: weights ``[..., K]`` at the penalised maximum of the likelihood.
        covariance: covariance ``[..., K, K]`` of the normal distribution that approximates the posterior of the weights
            (Laplace); the penalty is the precision of a normal prior.
    """

    weights: Tensor
    covariance: Tensor


def fit_logistic(
    x: Tensor, y: Tensor, penalty: Tensor, offset: Tensor | float = 0.0, weight: Tensor | float = 1.0
) -> LogisticFit:
    """Minimise ``sum_i weight_i CE(y_i, sigmoid(offset_i + x_i w)) + w' diag(penalty) w / 2``, exactly, in float64.

    Leading axes are a batch of independent problems and broadcast.

    Args:
        x: features ``[..., n, K]``; add a column of ones for an intercept.
        y: targets ``[..., n]`` in [0, 1].
        penalty: penalty ``[..., K]`` of each weight, above 0, so that the minimum exists even where classes are
            separable or empty.
        offset: known part ``[..., n]`` of the logit.
        weight: weight ``[..., n]`` of each sample; 0 leaves a sample out.
    """
    x, y, penalty = x.double(), y.double(), penalty.double()
    offset, weight = torch.as_tensor(offset).double(), torch.as_tensor(weight).double()
    w = x.new_zeros(x.shape[-1])  # gets the batch's shape with the first step

    def objective(w: Tensor) -> Tensor:
        z = offset + (x @ w.unsqueeze(-1)).squeeze(-1)
        loss: Tensor = (weight * (functional.softplus(z) - y * z)).sum(dim=-1) + (penalty * w * w).sum(dim=-1) / 2
        return loss

    hessian = torch.diag_embed(penalty)
    for _ in range(_STEPS):
        p = (offset + (x @ w.unsqueeze(-1)).squeeze(-1)).sigmoid()
        gradient = (x.mT @ (weight * (p - y)).unsqueeze(-1)).squeeze(-1) + penalty * w
        hessian = x.mT @ ((weight * p * (1 - p)).unsqueeze(-1) * x) + torch.diag_embed(penalty)
        step = torch.linalg.solve(hessian, gradient.unsqueeze(-1)).squeeze(-1)
        w = w - _length(objective, w, step).unsqueeze(-1) * step
        if float(step.abs().max()) < _TOLERANCE:
            break
    return LogisticFit(w, torch.linalg.inv(hessian).expand(*w.shape, -1))


def _length(objective: Callable[[Tensor], Tensor], w: Tensor, step: Tensor) -> Tensor:
    """Return the share ``[...]`` of each Newton step to take: halved until the objective no longer rises."""
    before = objective(w)
    length = torch.ones_like(before)
    for _ in range(_HALVINGS):
        rises = objective(w - length.unsqueeze(-1) * step) > before + 1e-12 * before.abs()
        if not bool(rises.any()):
            break
        length = torch.where(rises, length / 2, length)
    return length
