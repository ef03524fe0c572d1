"""How RLLD-plus learns its policy over evidence: the expected label F, ascended with exact gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avparse.data.features import Features, TaskSpec
from avparse.foundation.progress import track
from avparse.labels.reinforced.actions import greedy
from avparse.labels.reinforced.policies import EvidencePolicy
from avparse.labels.reinforced.rewards import expected_label_f, label_f
from avparse.labels.statistics.prior import ClassPrior
from avparse.training.denoisers.plus_settings import PlusSettings

NO_FEATURES = Features({})


@dataclass
class AnnotatedVideos:
    """Videos whose truth is known: evidence ``[N, C K]``, labels ``[N, C]``, modality truth ``[2, N, C]``."""

    evidence: Tensor
    given: Tensor
    truth: Tensor

    def only(self, which: Tensor) -> AnnotatedVideos:
        """Return the videos at which a mask ``[N]`` is true."""
        return AnnotatedVideos(self.evidence[which], self.given[which], self.truth[:, which])


class Learner:
    """Ascends the expected label F of a policy, with exact gradients."""

    def __init__(self, config: PlusSettings, spec: TaskSpec) -> None:
        self.config, self.spec = config, spec

    def choose(self, videos: AnnotatedVideos, fold: Tensor) -> tuple[float | None, str]:
        """Return the penalty with the highest reward on held-out folds, None for the prior; and a table of all."""
        choices: list[float | None] = [None, *self.config.penalties]
        tasks = [(penalty, number) for penalty in choices for number in range(self.config.folds)]
        policies = self.learn(videos, [(fold != number, penalty) for penalty, number in tasks])
        rewards = dict.fromkeys(choices, 0.0)
        for (penalty, number), policy in zip(tasks, policies, strict=True):
            rewards[penalty] += _greedy_reward(policy, videos.only(fold == number))
        rewards = {p: 100 * r / (2 * len(videos.given)) for p, r in rewards.items()}
        lines = [f"| {'prior' if p is None else p} | {r:.2f} |" for p, r in rewards.items()]
        table = "| penalty | held-out reward (label F, percent) |\n|---|---:|\n" + "\n".join(lines) + "\n"
        return max(choices, key=lambda p: rewards[p]), table

    def learn(self, videos: AnnotatedVideos, tasks: Sequence[tuple[Tensor, float | None]]) -> list[EvidencePolicy]:
        """Return one policy for each task, all trained at once, because a small one costs little but the calls.

        Args:
            videos: annotated videos with their evidence.
            tasks: mask ``[N]`` of the videos that a policy is trained on, and its penalty; without a penalty it
                is the unchanged class prior.
        """
        config = self.config
        policies = [self._at_prior(videos.only(which)) for which, _ in tasks]
        learning = [(p, which, penalty) for p, (which, penalty) in zip(policies, tasks, strict=True) if penalty]
        if not learning:
            return policies
        optimizer = torch.optim.Adam([x for policy, _, _ in learning for x in policy.parameters()], lr=config.rate)
        labels = videos.given.float()
        share = torch.stack([which / which.sum() for _, which, _ in learning])  # [M, N], of M policies
        for _ in track(range(config.updates), "RLLD-plus", unit="update"):
            logits = torch.stack([p(NO_FEATURES, labels, videos.evidence) for p, _, _ in learning])  # [M, 2, N, C]
            reward = expected_label_f(logits, labels, videos.truth)
            if config.inter_weight:
                reward = reward + config.inter_weight * config.inter.expected(logits, labels, may_empty=True)
            penalties = torch.stack([penalty * p.penalty() / which.sum() for p, which, penalty in learning])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(penalties.sum() - (reward.mean(dim=1) * share).sum())
            optimizer.step()
        return policies

    def _at_prior(self, videos: AnnotatedVideos) -> EvidencePolicy:
        """Return an untrained policy, which equals the class prior of the videos."""
        policy = EvidencePolicy(EvidencePolicy.Config(), self.spec, videos.evidence.shape[-1])
        policy.start_from(ClassPrior.count(videos.given, videos.truth, shrinkage=2.0).keep_logits(policy.bound))
        return policy


@torch.no_grad()
def _greedy_reward(policy: EvidencePolicy, videos: AnnotatedVideos) -> float:
    """Return the sum of the label F over videos and modalities, for the labels that are kept without randomness."""
    logits = policy(NO_FEATURES, videos.given.float(), videos.evidence)
    kept = greedy(logits, videos.given, may_empty=True).labels
    return float(label_f(kept, videos.truth & videos.given).sum())
