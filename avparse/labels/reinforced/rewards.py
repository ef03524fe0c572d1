"""Rewards of a label policy, and their baselines (RLLD, arXiv 2412.19563, equations 9 to 15)."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from avparse.foundation.errors import UserError
from avparse.foundation.settings import Settings
from avparse.labels.reinforced.actions import Actions

VIOLATION = -1.0


class InterReward(Settings):
    """The soft inter-reward: similarity of the revised label set of a video to the given one.

    Both sets become distributions over the C classes: smoothed by ``v y + (1 - v) / 2`` and divided by the sum. With
    these p and q, ``R = w exp(-(KL(p||q) + KL(q||p)) / 2) + (1 - w) cos(p, q)``. It is 1 where nothing was removed and
    less elsewhere, so it rewards keeping. A violation of the never-empty rule scores -1 instead.

    Attributes:
        smoothing: smoothing parameter v; the paper gives none.
        kl_share: weight w of the divergence term.
        mix_uniform: whether to smooth by ``v p + (1 - v) / C`` after the division instead, which punishes removals
            harder.
    """

    smoothing: float = Field(0.9, gt=0, lt=1)
    kl_share: float = Field(0.6, ge=0, le=1)
    mix_uniform: bool = False

    def resemblance(self, labels: Tensor, revised: Tensor) -> Tensor:
        """Return the similarity ``[...]`` of label sets ``[..., C]``, 0 or 1."""
        p, q = self._distribution(labels), self._distribution(revised)
        divergence = ((p - q) * (p.log() - q.log())).sum(dim=-1)
        cosine = torch.cosine_similarity(p, q, dim=-1)
        return self.kl_share * (-divergence / 2).exp() + (1 - self.kl_share) * cosine

    def sampled(self, actions: Actions, labels: Tensor) -> Tensor:
        """Return the reward ``[..., B]`` of sampled actions on given labels ``[B, C]``."""
        return self.resemblance(labels, actions.labels).masked_fill(actions.violated, VIOLATION)

    def expected(self, logits: Tensor, labels: Tensor, may_empty: bool = False) -> Tensor:
        """Return the exact expectation ``[..., B]`` of :meth:`sampled` over all draws, differentiable in the logits.

        The reward depends only on the number of given labels and the number of kept labels, so the sum over the 2^k
        subsets of k labels is a sum over k + 1 counts. Their distribution (Poisson-binomial) is computed label by
        label, at a cost of k^2 per video and without sampling noise in the gradient.

        Args:
            logits: logits ``[..., B, C]`` of keeping each label.
            labels: given labels, 0 or 1, whose shape expands to that of ``logits``.
            may_empty: whether draws that leave no label are allowed, as in
                :func:`avparse.labels.reinforced.actions.sample`.
        """
        given = labels.bool().expand_as(logits)
        kept = kept_counts(logits.sigmoid(), given)
        reward = self._by_counts(kept.shape[-1] - 1, labels.shape[-1], may_empty).to(kept)
        return (kept * reward[given.sum(dim=-1)]).sum(dim=-1)

    def _by_counts(self, most: int, classes: int, may_empty: bool) -> Tensor:
        """Return the reward ``[most + 1, most + 1]`` of keeping j (column) of k (row) labels."""
        sets = torch.ones(most + 1, classes, dtype=torch.float64).tril(-1)  # row k holds k labels
        reward = self.resemblance(sets.unsqueeze(1), sets)
        if not may_empty:
            reward[1:, 0] = VIOLATION
        return reward

    def _distribution(self, labels: Tensor) -> Tensor:
        y = labels if labels.is_floating_point() else labels.float()
        if self.mix_uniform:
            return self.smoothing * y / y.sum(dim=-1, keepdim=True).clamp_min(1) + (1 - self.smoothing) / y.shape[-1]
        soft = self.smoothing * y + (1 - self.smoothing) / 2
        return soft / soft.sum(dim=-1, keepdim=True)


def label_f(kept: Tensor, truth: Tensor) -> Tensor:
    """Return the F measure ``[...]`` of label sets ``[..., C]``; 1 where both sets are empty."""
    kept, truth = kept.float(), truth.float()
    both, size = (kept * truth).sum(dim=-1), kept.sum(dim=-1) + truth.sum(dim=-1)
    return torch.where(size > 0, 2 * both / size.clamp_min(1), 1.0)


def expected_label_f(logits: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
    """Return the exact expectation ``[..., B]`` of the F measure of the labels that a draw keeps, differentiable.

    The F measure depends only on the numbers of right and of wrong labels that are kept, and these two counts are
    independent. Its gradient is that of REINFORCE without sampling noise. A draw that rightly keeps no label scores 1.

    Args:
        logits: logits ``[..., B, C]`` of keeping each label.
        labels: given labels, 0 or 1, whose shape expands to that of ``logits``.
        truth: true labels, 0 or 1, whose shape expands to that of ``logits``.
    """
    given = labels.bool().expand_as(logits)
    right, wrong = given & truth.bool(), given & ~truth.bool()
    hits, misses = (kept_counts(logits.sigmoid(), which) for which in (right, wrong))
    i, j = (torch.arange(x.shape[-1], device=logits.device) for x in (hits, misses))
    size = i.view(-1, 1) + j + right.sum(dim=-1)[..., None, None]  # [..., B, I, J]
    f = torch.where(size > 0, 2 * i.view(-1, 1) / size.clamp_min(1), 1.0)
    return (hits.unsqueeze(-1) * misses.unsqueeze(-2) * f).sum(dim=(-2, -1))


def kept_counts(keep: Tensor, which: Tensor) -> Tensor:
    """Return the probability ``[..., K + 1]`` that 0 to K of the labels ``which`` are kept; K is the most in any row.

    It is the Poisson-binomial distribution, computed label by label with K^2 operations per row.

    Args:
        keep: probability ``[..., C]`` of keeping each label.
        which: boolean ``[..., C]``, the labels that are counted.
    """
    count = which.sum(dim=-1)
    most = int(count.max()) if count.numel() else 0
    first = which.int().argsort(dim=-1, descending=True, stable=True)[..., :most]
    packed = (keep * which).gather(-1, first)  # [..., most], zero beyond the counted labels
    kept = functional.one_hot(torch.zeros_like(count), most + 1).to(keep.dtype)
    for p in packed.unbind(dim=-1):
        one_more = functional.pad(kept[..., :-1], (1, 0))
        kept = kept + p.unsqueeze(-1) * (one_more - kept)
    return kept


class Baseline:
    """Exponential moving average of past rewards, which is subtracted to lower the variance of REINFORCE.

    It depends only on past actions, so the gradient remains unbiased (Williams, 1992). The paper names no baseline.
    """

    class Config(Settings):
        """Settings of the baseline.

        Attributes:
            decay: share of the old average that is kept at each update; None subtracts nothing.
            standardize: number of recent episodes, including the current one, by whose deviation advantages are divided
                after subtracting their mean; 0 leaves advantages unchanged. It is slightly biased, and insensitive to
                the unit of the reward.
        """

        decay: float | None = Field(0.9, ge=0, lt=1)
        standardize: int = Field(0, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.value: float | None = None
        self._recent: deque[float] = deque(maxlen=config.standardize)

    def advantage(self, reward: float) -> float | None:
        """Return how much better ``reward`` is than expected, and update the average with it.

        None means that there is nothing to compare with yet and that the caller should skip the update: for the first
        reward, which becomes the first average, and for the first advantage where advantages are standardised.
        """
        advantage = self._advantage(reward)
        if advantage is None or not self.config.standardize:
            return advantage
        self._recent.append(advantage)
        if len(self._recent) < 2:
            return None
        mean = math.fsum(self._recent) / len(self._recent)
        deviation = math.sqrt(math.fsum((a - mean) ** 2 for a in self._recent) / len(self._recent))
        return (advantage - mean) / deviation if deviation > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Return the state that later advantages depend on, as JSON values."""
        return {"value": self.value, "recent": list(self._recent)}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`state` returned."""
        self.value = state["value"]
        self._recent = deque(state["recent"], maxlen=self.config.standardize)

    def _advantage(self, reward: float) -> float | None:
        if self.config.decay is None:
            return reward
        if self.value is None:
            self.value = reward
            return None
        advantage = reward - self.value
        self.value = self.config.decay * self.value + (1 - self.config.decay) * reward
        return advantage


def leave_one_out(rewards: Tensor) -> Tensor:
    """Return the advantages ``[K, ...]`` of K rollouts: each reward minus the mean of the others (Kool et al., 2019).

    Raises:
        UserError: there are fewer than two rollouts.
    """
    count = rewards.shape[0]
    if count < 2:
        raise UserError(f"leave-one-out needs at least 2 rollouts, found {count}; raise their number")
    return (rewards - rewards.mean(dim=0)) * (count / (count - 1))
