"""RLLD in one run: policy and task network are trained together, at little more than the cost of the task network.

The paper resets the task network in every episode, hundreds of times, to measure what its labels are worth. Here
nothing is reset. The policy also acts on the labels of the rewarding half of validation, where dense truth scores each
draw immediately: its reward is the F measure of the labels that it keeps. The labels of every training batch are those
that the best policy so far keeps, best by the same reward on the other half, which also selects the epoch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.batching import FeatureTable, Indices, stream_statistics, task_spec
from avparse.data.features import Batch, Step
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.labels.refiner import Reads
from avparse.labels.reinforced.actions import greedy, log_probability, repair_union, sample
from avparse.labels.reinforced.policies import POLICIES, KeepPolicy, PooledPolicy
from avparse.labels.reinforced.rewards import InterReward, expected_label_f, label_f, leave_one_out
from avparse.labels.statistics.prior import ClassPrior
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput
from avparse.training.denoisers.denoiser import Leaves, Truth, split_validation
from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace


class JointDenoiser:
    """Sets up the policy that is trained within the training of the parser."""

    leaves: Leaves = "refiners"
    truth: Truth = "val"

    class Config(PartConfig):
        """Settings of the denoiser ``rlld-joint``.

        Attributes:
            policy: settings of the policy network; the pooled one costs less than a hundredth of HAN.
            rate, decay: learning rate and weight decay of the policy's Adam.
            start: starting point of the policy: ``keep`` keeps nearly every label, ``prior`` is the class prior of the
                rewarding half.
            warmup: number of first epochs in which the parser is trained on the labels as given, while the policy
                already learns.
            every: number of batches between two updates of the policy.
            reward_videos: number of validation videos that score an update.
            rollouts: number of draws that are compared with each other in an update (leave-one-out); 0 uses the exact
                expectation of the reward over all draws instead.
            inter_weight: weight of the expected soft inter-reward, whose gradient is exact.
            inter: settings of the soft inter-reward.
            may_empty: whether a modality may lose all labels, as long as each is kept in the other one.
        """

        name: Literal["rlld-joint"] = "rlld-joint"
        policy: Annotated[PartConfig, *part_of(POLICIES, "policy")] = PooledPolicy.Config()
        rate: float = Field(1e-3, gt=0)
        decay: float = Field(0.0, ge=0)
        start: Literal["keep", "prior"] = "keep"
        warmup: float = Field(1.0, ge=0)
        every: int = Field(4, ge=1)
        reward_videos: int = Field(64, ge=1)
        rollouts: int = Field(0, ge=0)
        inter_weight: float = Field(0.01, ge=0)
        inter: InterReward = InterReward()
        may_empty: bool = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the refiner; half of validation rewards it, the other half selects policy and epoch."""
        _, select = split_validation(workspace, "half")
        return Prepared(refiners=(JointPolicy(self.config, workspace),), val=select)


class JointPolicy:
    """A refiner that drops labels by a policy which is trained together with the parser."""

    reads: Reads = "nothing"

    def __init__(self, config: JointDenoiser.Config, workspace: Workspace) -> None:
        self.config, self.workspace = config, workspace
        self.reward_videos, self.select_videos = split_validation(workspace, "half")
        torch.manual_seed(workspace.seed)
        self.policy, self.actor = self._new_policy(), self._new_policy()
        self.actor.load_state_dict(self.policy.state_dict())
        self.best = torch.tensor(-1.0)  # the acting policy's reward on the selecting half
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=config.rate, weight_decay=config.decay)
        self.generator = torch.Generator().manual_seed(workspace.seed)
        self.table: FeatureTable
        self._truth = dict(zip(workspace.val, workspace.val_truth().unbind(dim=1), strict=True))

    def attach(self, parser: nn.Module, table: FeatureTable) -> None:
        """Store the data and create the policy."""
        self.table = table

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return the targets without the labels that the best policy so far drops; update it every few batches."""
        if step.step == 0:
            self._select_actor()
        if step.step % self.config.every == 0:
            self._learn()
        if step.progress < self.config.warmup:
            return targets
        with torch.no_grad():
            logits = self.actor(batch.features, batch.weak)
        actions = greedy(logits, batch.weak, may_empty=self.config.may_empty)
        labels = repair_union(actions, logits, batch.weak).labels
        audio, visual = (batch.weak > 0) & (labels == 0)
        dropped = {"audio": targets.audio.masked_fill(audio, 0), "visual": targets.visual.masked_fill(visual, 0)}
        for modality, drops in (("audio", audio), ("visual", visual)):
            segments = getattr(targets, f"{modality}_segments")
            if segments is not None:
                dropped[f"{modality}_segments"] = segments.masked_fill(drops.unsqueeze(1), 0)
        return replace(targets, **dropped)

    def state_dict(self) -> dict[str, Tensor]:
        """Return both policies, the optimiser and the generator."""
        moments = self.optimizer.state_dict()["state"]
        return {
            **{f"policy.{k}": v.detach().cpu() for k, v in self.policy.state_dict().items()},
            **{f"actor.{k}": v.detach().cpu() for k, v in self.actor.state_dict().items()},
            **{f"adam.{i}.{k}": v.detach().cpu() for i, s in moments.items() for k, v in s.items()},
            "best": self.best,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        for name, policy in (("policy.", self.policy), ("actor.", self.actor)):
            policy.load_state_dict({k.removeprefix(name): v for k, v in state.items() if k.startswith(name)})
        moments: dict[int, dict[str, Tensor]] = {}
        for name in (k for k in state if k.startswith("adam.")):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = state[name]
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.best = state["best"]
        self.generator.set_state(state["generator"])

    def _new_policy(self) -> KeepPolicy:
        store, device = self.workspace.store, self.workspace.device
        policy: KeepPolicy = build(POLICIES, self.config.policy, task_spec(store)).to(device)
        if policy.needs_statistics:
            policy.calibrate(stream_statistics(store, self.workspace.train))
        if self.config.start == "prior":
            weak = torch.from_numpy(store.weak[self.reward_videos])
            prior = ClassPrior.count(weak, self.workspace.modality_truth(self.reward_videos), shrinkage=2.0)
            policy.start_from(prior.keep_logits(policy.bound).to(device))
        return policy

    def _learn(self) -> None:
        """Ascend the reward once, on some of the rewarding videos."""
        config, pool = self.config, self.reward_videos
        drawn = torch.randperm(len(pool), generator=self.generator)[: config.reward_videos].numpy()
        logits, labels, truth = self._evaluate(self.policy, pool[drawn])
        if config.rollouts:
            draws = sample(logits.expand(config.rollouts, *logits.shape), labels, self.generator, config.may_empty)
            advantage = leave_one_out(label_f(draws.labels, truth & labels.bool()))
            reward = (advantage * log_probability(logits, draws.keep, labels)).mean()
        else:
            reward = expected_label_f(logits, labels, truth).mean()
        inter = config.inter.expected(logits, labels, config.may_empty).mean()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(-(reward + config.inter_weight * inter))
        self.optimizer.step()

    @torch.no_grad()
    def _select_actor(self) -> None:
        """Let the current policy act from now on, if it is the best so far on the selecting half."""
        logits, labels, truth = self._evaluate(self.policy, self.select_videos)
        kept = greedy(logits, labels, may_empty=self.config.may_empty).labels
        reward = label_f(kept, truth & labels.bool()).mean().cpu()
        if reward > self.best:
            self.best = reward
            self.actor.load_state_dict(self.policy.state_dict())

    def _evaluate(self, policy: KeepPolicy, videos: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Return the keep logits ``[2, B, C]``, labels ``[B, C]`` and truth ``[2, B, C]`` of validation videos."""
        batch = self.table.batch(videos)
        truth = torch.stack([self._truth[i] for i in videos], dim=1).to(batch.weak.device)
        return policy(batch.features, batch.weak), batch.weak, truth
