"""Label statistics fitted on videos whose truth is known: the class prior, and a classifier of labels.

RLLD is rewarded with the dense truth of validation. These two use the same truth directly, so they are the baselines
that it must exceed. Both give the probability ``[2, N, C]`` (audio, visual) that a given label is right in a modality;
:func:`avparse.labels.reinforced.actions.greedy` turns its logits into decisions like those of a policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from avparse.foundation.errors import UserError
from avparse.foundation.logistic import fit_logistic

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 1e4)


@dataclass(frozen=True)
class ClassPrior:
    """Share of right labels in each modality, per class.

    Attributes:
        rate: share ``[2, C]`` (float64) of the videos with the label in which it is right.
    """

    rate: Tensor

    @classmethod
    def count(cls, labels: Tensor, truth: Tensor, shrinkage: float = 0.0) -> ClassPrior:
        """Count the right labels on videos with truth.

        Args:
            labels: given labels ``[N, C]``.
            truth: true labels ``[2, N, C]``, whether the class occurs in audio and in visual.
            shrinkage: number of imaginary videos per class that follow the rate of all classes of the modality
                together. A class without a labelled video always has that rate.

        Raises:
            UserError: shapes disagree, or there is no label at all.
        """
        given, right = check_labels(labels, truth)
        return cls(_rate((right & given).sum(dim=1), given.sum(dim=0), shrinkage))

    def keep(self, threshold: float = 0.5) -> Tensor:
        """Return one decision per modality and class, ``[2, C]``: True keeps all its labels, False drops them."""
        return self.rate >= threshold

    def keep_probability(self, labels: Tensor) -> Tensor:
        """Return the probability ``[2, N, C]`` that given labels ``[N, C]`` are right; zero where no label is given."""
        return self.rate.unsqueeze(1) * labels

    def keep_logits(self, bound: float = 4.0) -> Tensor:
        """Return float32 logits ``[2, C]`` within plus or minus ``bound``, for a policy to start from."""
        return _logit(self.rate, bound).float()


@dataclass(frozen=True)
class ValidationClassifier:
    """Logistic regressions that separate right labels from wrong ones, one per class and modality.

    ``logit = logit(class prior) + x (shared + own)``: the class prior, weights shared by the classes of a modality and
    deviations of each class are fitted one after the other, each penalised (L2), so that little evidence leaves the
    previous level unchanged. ``x`` are the features, centred on their class's mean and divided by their deviation over
    all labels, and a constant.

    Attributes:
        prior: class prior of the labels.
        centre: mean ``[C, K]`` of the features of each class's labels.
        scale: deviation ``[K]`` of the features around that mean.
        weights: sum ``[2, C, K + 1]`` of shared and own weights, the constant last.
        penalty: penalty that was chosen.
        held_out_loss: mean cross-entropy ``[P]`` per label of every penalty that was tried.
    """

    prior: ClassPrior
    centre: Tensor
    scale: Tensor
    weights: Tensor
    penalty: float
    held_out_loss: Tensor

    @classmethod
    def fit(
        cls,
        features: Tensor,
        labels: Tensor,
        truth: Tensor,
        penalties: Sequence[float] = PENALTIES,
        folds: int = 5,
        shrinkage: float = 2.0,
    ) -> ValidationClassifier:
        """Fit on videos with truth; the penalty with the least cross-validated loss is chosen.

        Args:
            features: features ``[N, K]`` of the videos, or ``[N, C, K]`` of each class in them, such as its pooled
                probabilities; for the latter the shared weights mean the same for every class.
            labels: given labels ``[N, C]``.
            truth: true labels ``[2, N, C]``, whether the class occurs in audio and in visual.
            penalties: penalties to choose from, above 0.
            folds: number of parts of the videos (every ``folds``-th); it has no effect with a single penalty.
            shrinkage: number of imaginary videos per class in the class prior, as in :meth:`ClassPrior.count`.

        Raises:
            UserError: shapes disagree, there is no label at all, there are fewer videos than folds, or a penalty is not
                above 0.
        """
        given, right = check_labels(labels, truth)
        videos = len(given)
        if not penalties or min(penalties) <= 0:
            raise UserError(f"penalties: {list(penalties)}; give one or more numbers above 0")
        if not 2 <= folds <= videos:
            raise UserError(f"folds is {folds} for {videos} videos; give 2 to {videos}")
        centre, scale, x = _standardized(_of_labels(features, given), given)
        video, owner = given.nonzero(as_tuple=True)  # of each of the E given labels
        held_out = (video % folds) == torch.arange(folds + 1).unsqueeze(1)  # [folds + 1, E]; the last holds out nothing
        sides = [_fit_side(x, owner, side[given], ~held_out, penalties, len(given.T), shrinkage) for side in right]
        weights, logits = (torch.stack(part) for part in zip(*sides, strict=True))  # [2, P, F, C, K+1], [2, P, F, E]
        target = right[:, given].double()[:, None, None].expand_as(logits)
        each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * held_out
        loss = each.sum(dim=(0, 2, 3)) / (2 * len(video))
        best = int(loss.argmin())
        prior = ClassPrior.count(labels, truth, shrinkage)
        return cls(prior, centre, scale, weights[:, best, -1], float(penalties[best]), loss)

    def keep_probability(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the probability ``[2, N, C]`` that given labels ``[N, C]`` are right; features as in :meth:`fit`."""
        given = labels.bool()
        owner = given.nonzero(as_tuple=True)[1]
        x = _with_constant((_of_labels(features, given) - self.centre[owner]) / self.scale)
        logits = _logit(self.prior.rate)[:, owner] + (x * self.weights[:, owner]).sum(dim=-1)
        probability = torch.zeros(2, *given.shape, dtype=torch.float64)
        probability[:, given] = logits.sigmoid()
        return probability


def _fit_side(
    x: Tensor,
    owner: Tensor,
    right: Tensor,
    used: Tensor,
    penalties: Sequence[float],
    classes: int,
    shrinkage: float,
) -> tuple[Tensor, Tensor]:
    """Fit one modality for every penalty and fold.

    Args:
        x: features ``[E, K + 1]`` of the given labels.
        owner: class ``[E]`` of each given label.
        right: whether each given label is right, ``[E]``.
        used: labels ``[F, E]`` that each fold fits on.
        penalties: the P penalties that are tried.
        classes: number C of classes.
        shrinkage: number of imaginary videos per class in the class prior.

    Returns:
        Weights ``[P, F, C, K + 1]`` and logits ``[P, F, E]``.
    """
    penalty = torch.tensor(penalties, dtype=torch.float64)[:, None, None].expand(-1, 1, x.shape[-1])
    weight, target = used.double(), right.double()
    member = functional.one_hot(owner, classes).double()
    prior = _logit(_rate((weight * target) @ member, weight @ member, shrinkage))[:, owner]  # [F, E]
    shared = fit_logistic(x, target, penalty, prior, weight).weights  # [P, F, K + 1]
    offset = prior + shared @ x.T  # [P, F, E]
    weights = shared.unsqueeze(2).repeat(1, 1, classes, 1)
    for c in range(classes):
        mine = owner == c
        fit = fit_logistic(x[mine], target[mine], penalty, offset[..., mine], weight[:, mine])
        weights[:, :, c] += fit.weights
    return weights, prior + (weights[:, :, owner] * x).sum(dim=-1)


def _rate(right: Tensor, count: Tensor, shrinkage: float) -> Tensor:
    """Return the rate ``[..., C]`` of every class, drawn towards that of all classes together."""
    right, count = right.double(), count.double()
    overall = right.sum(dim=-1, keepdim=True) / count.sum(dim=-1, keepdim=True).clamp_min(1)
    rate = (right + shrinkage * overall) / (count + shrinkage)
    return torch.where(count + shrinkage > 0, rate, overall)


def _logit(rate: Tensor, bound: float = 6.0) -> Tensor:
    return rate.logit().clamp(-bound, bound)  # rates of 0 and 1 come from few videos


def _of_labels(features: Tensor, given: Tensor) -> Tensor:
    """Return the features ``[E, K]`` of the given labels."""
    x = features.double()
    if x.dim() == given.dim():
        x = x.unsqueeze(1).expand(-1, given.shape[1], -1)
    if x.shape[:2] != given.shape:
        raise UserError(
            f"features have shape {tuple(features.shape)}, labels {tuple(given.shape)}; give [N, K] or [N, C, K]"
        )
    return x[given]


def _standardized(x: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    owner = given.nonzero(as_tuple=True)[1]
    centre = x.new_zeros(given.shape[1], x.shape[1]).index_add_(0, owner, x) / given.sum(dim=0).clamp_min(1)[:, None]
    around = x - centre[owner]
    scale = around.square().mean(dim=0).sqrt().clamp_min(1e-6)
    return centre, scale, _with_constant(around / scale)


def _with_constant(x: Tensor) -> Tensor:
    return functional.pad(x, (0, 1), value=1.0)


def check_labels(labels: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels ``[N, C]`` and truth ``[2, N, C]`` as booleans.

    Raises:
        UserError: the shapes disagree, or there is no label at all.
    """
    given, right = labels.bool(), truth.bool()
    if right.shape != (2, *given.shape):
        raise UserError(f"truth has shape {tuple(right.shape)}; labels {tuple(given.shape)} need {(2, *given.shape)}")
    if not bool(given.any()):
        raise UserError("no video has a label; give labelled videos with truth")
    return given, right
