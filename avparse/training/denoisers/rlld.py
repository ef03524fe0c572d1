"""RLLD: a policy learns by reinforcement which labels to drop (arXiv 2412.19563, algorithm 1; the paper preset).

The whole of the reinforcement learning is here: state, action, reward, baseline, update. An *episode* trains a new task
network for a few steps on labels that the policy has sampled, and scores it on the validation split; then the policy
ascends the REINFORCE gradient once. Numbers in brackets refer to ``docs/methods/rlld.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from avparse.data.batching import FeatureTable, Indices, stream_statistics, task_spec
from avparse.data.features import Batch, Step
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import score_split
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.progress import Tracker, track
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.labels.reinforced.actions import Actions, greedy, log_probability, sample, sampled_targets
from avparse.labels.reinforced.policies import POLICIES, KeepPolicy, Policy
from avparse.labels.reinforced.rewards import Baseline, InterReward
from avparse.labels.segments import SegmentTable
from avparse.losses import LOSSES
from avparse.models.parsers.build import build_parser
from avparse.training.checkpoint import capture, load_checkpoint, restore, save_checkpoint
from avparse.training.denoisers.denoiser import Leaves, Truth, split_validation
from avparse.training.logs import JsonLines
from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace

_EPISODES = 0xE915  # separates the random streams of episodes from those that order the epochs


class RLLDDenoiser:
    """Trains a label policy on the training split and returns the labels that it keeps.

    The workspace contains ``checkpoints`` of the policy after each episode, the last of which holds the trained policy,
    and ``episodes.jsonl`` with one line per episode.
    """

    leaves: Leaves = "labels"
    truth: Truth = "val"

    class Config(PartConfig):
        """Settings of the denoiser ``rlld``.

        Attributes:
            policy: settings of the policy network.
            rate: learning rate of the policy's Adam.
            episodes: largest number of episodes [24].
            patience: number of episodes over which the mean reward must gain at least ``least_gain`` over the same
                number before; otherwise the training stops. 0 never stops early.
            least_gain: gain of the mean reward that ``patience`` asks for.
            steps, batch_size, overlap: steps of an episode, videos of a state, and the share of its videos that each
                state has in common with the next [8].
            task_rate: learning rate of the task network's Adam, which starts anew in every episode [10].
            terminal_scale: factor of the validation F in percent in the terminal reward [12].
            audio_metric, visual_metric: validation metric that rewards each branch.
            inter_weight: weight of the soft inter-reward; 0 is the ablation of Table 2 [13].
            joint_reward: whether to reward both branches with the sum of their rewards [14].
            all_classes: whether to count the draws of labels that a video does not have as well [5].
            inter: settings of the soft inter-reward [16].
            baseline: settings of the baseline that is subtracted from the reward [15].
            paired: whether every episode has the same videos in the same order, with the same dropout, so that rewards
                differ only by the draws of the policy.
            val_split: validation videos that reward: ``full`` for all of them, as published, or ``half``; epochs of the
                final training are then selected on the other half [22].
            threshold: smallest probability at which the trained policy keeps a label [23].
        """

        renamed: ClassVar[dict[str, str]] = {"audio_figure": "audio_metric", "visual_figure": "visual_metric"}
        name: Literal["rlld"] = "rlld"
        policy: Annotated[PartConfig, *part_of(POLICIES, "policy")] = Policy.Config()
        rate: float = Field(1e-4, gt=0)
        episodes: int = Field(300, ge=1)
        patience: int = Field(100, ge=0)
        least_gain: float = 0.02
        steps: int = Field(32, ge=1)
        batch_size: int = Field(128, ge=2)
        overlap: float = Field(0.25, ge=0, lt=1)
        task_rate: float = Field(5e-4, gt=0)
        terminal_scale: float = Field(0.1, gt=0)
        audio_metric: str = "segment_audio"
        visual_metric: str = "event_visual"
        inter_weight: float = Field(1.0, ge=0)
        joint_reward: bool = False
        all_classes: bool = False
        inter: InterReward = InterReward()
        baseline: Baseline.Config = Baseline.Config()
        paired: bool = False
        val_split: Literal["full", "half"] = "full"
        threshold: float = Field(0.5, gt=0, lt=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels that the trained policy keeps without randomness."""
        learner = _Learner(self.config, workspace)
        learner.learn()
        logits = learner.keep_logits()
        actions = greedy(logits, torch.from_numpy(workspace.given).float(), self.config.threshold)
        labels = workspace.refined(actions.labels, logits.sigmoid(), "dropped by the policy")
        _, select = split_validation(workspace, self.config.val_split)
        return Prepared(labels=labels, val=select)


@dataclass
class _Transition:
    """One step of an episode, for the update: its videos and the draw."""

    index: Indices
    keep: Tensor


class _Learner:
    """The state of the training, from episode to episode."""

    def __init__(self, config: RLLDDenoiser.Config, workspace: Workspace) -> None:
        self.config, self.workspace = config, workspace
        recipe, store = workspace.recipe, workspace.store
        self.fabric = workspace.compute.fabric(recipe.training.precision)
        self.table: FeatureTable = workspace.table()
        pseudo = workspace.segments
        self.segments = None if pseudo is None else SegmentTable(pseudo, store, self.fabric.device)
        self.reward_videos, _ = split_validation(workspace, config.val_split)
        torch.manual_seed(workspace.seed)
        spec = task_spec(store)
        self.task = build_parser(recipe.parser, spec).to(self.fabric.device)
        self.policy: KeepPolicy = build(POLICIES, config.policy, spec).to(self.fabric.device)
        for network in (self.task, self.policy):
            if network.needs_statistics:
                network.calibrate(stream_statistics(store, workspace.train))
        # [10]: every episode starts the task network from the same weights, so that rewards are comparable.
        self.start = {name: value.clone() for name, value in self.task.state_dict().items()}
        # An episode is shorter than an epoch, so losses that start in a later epoch have no part in it.
        self.losses = [x for x in (build(LOSSES, c) for c in recipe.losses) if x.config.after == 0]
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.rate)
        self.baselines = {m: Baseline(config.baseline) for m in MODALITIES}
        self.request = StopRequest()
        self.episode, self.rewards = 0, list[float]()
        found = load_checkpoint(workspace.folder / "checkpoints")
        if found is not None:
            restore(found, self.policy, self.optimizer)
            self.episode, self.rewards = found.state["epoch"], found.state["rewards"]
            for modality, state in found.state["baselines"].items():
                self.baselines[modality].load(state)

    def learn(self) -> None:
        """Run episodes until the last or until convergence; a signal drops the current one, to be repeated."""
        log = JsonLines(self.workspace.folder / "episodes.jsonl", "episode", self.episode)
        total = self.config.episodes
        bar: Tracker[None] = track(None, "RLLD", total=total, unit="episode", first=self.episode)
        with self.request, bar:
            while self.episode < total and not self._converged():
                transitions, metrics = self._roll_out()
                metrics |= self._update(transitions, metrics)
                log.write({"episode": self.episode, **metrics})
                self.rewards.append(metrics["reward_audio"] + metrics["reward_visual"])
                self.episode += 1
                self._checkpoint()
                bar.note(f"reward {self.rewards[-1]:.2f}")
                bar.update()
                self.request.stop_if_asked()

    @torch.no_grad()
    def keep_logits(self) -> Tensor:
        """Return the keep logits ``[2, N, C]`` of all training videos."""
        self.policy.eval()
        size = self.config.batch_size
        rows = [self.workspace.train[i : i + size] for i in range(0, len(self.workspace.train), size)]
        parts = [self._logits(self.table.batch(piece)).float().cpu() for piece in rows]
        return torch.cat(parts, dim=1)

    def _roll_out(self) -> tuple[list[_Transition], dict[str, float]]:
        """Train the task network through one episode of sampled labels and return its steps and rewards."""
        config = self.config
        # All randomness of an episode follows from seed and episode number, so a resumed run repeats it exactly.
        draws = self._random(self.episode)
        seeds = self._random(0) if config.paired else draws
        generator = torch.Generator().manual_seed(draws[0])
        torch.manual_seed(seeds[1])
        self.task.load_state_dict(self.start)
        optimizer = torch.optim.Adam(self.task.parameters(), lr=config.task_rate, fused=True)
        self.policy.eval()
        transitions, inter, quality = [], [], _SampledQuality(self.workspace)
        order = np.random.default_rng(seeds[2]).permutation(self.workspace.train)
        for number, index in enumerate(episode_states(order, config.steps, config.batch_size, config.overlap)):
            batch = self.table.batch(index)
            with torch.no_grad():
                actions = sample(self._logits(batch), batch.weak, generator)
            inter.append(config.inter.sampled(actions, batch.weak).mean(dim=-1))
            quality.add(index, actions)
            self._task_step(optimizer, batch, actions, Step(0, number, config.steps))
            transitions.append(_Transition(index, actions.keep))
            self.request.stop_if_asked()
        self.task.eval()
        with self.fabric.autocast():
            f = score_split(self.task, self.table, self.reward_videos, self.workspace.recipe.decoding).as_dict()
        terminal = {m: config.terminal_scale * f[getattr(config, f"{m}_metric")] for m in MODALITIES}
        resemblance = dict(zip(MODALITIES, torch.stack(inter).mean(dim=0).tolist(), strict=True))
        metrics = {f"reward_{m}": terminal[m] + config.inter_weight * resemblance[m] for m in MODALITIES}
        metrics |= {f"terminal_{m}": terminal[m] for m in MODALITIES}
        metrics |= {f"inter_{m}": resemblance[m] for m in MODALITIES}
        return transitions, metrics | {f"val/{k}": v for k, v in f.items()} | quality.metrics()

    def _random(self, episode: int) -> list[int]:
        sequence = np.random.SeedSequence(self.workspace.seed, spawn_key=(_EPISODES, episode))
        return [int(number) for number in sequence.generate_state(3)]

    def _task_step(self, optimizer: torch.optim.Optimizer, batch: Batch, actions: Actions, step: Step) -> None:
        """Descend the task loss once on the sampled labels."""
        self.task.train()
        segments = (None, None) if self.segments is None else self.segments(batch.index)
        targets = sampled_targets(actions.labels, batch.weak, segments, self.workspace.recipe.refined_video)
        with self.fabric.autocast():
            output = self.task(batch.features)
        loss = torch.stack([x.config.weight * x(output, targets, batch, step) for x in self.losses]).sum()
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()

    def _update(self, transitions: list[_Transition], metrics: dict[str, float]) -> dict[str, float]:
        """Ascend the expected reward by REINFORCE: (1/n) sum over branches of (R - b) log pi(actions | states)."""
        reward = {m: metrics[f"reward_{m}"] for m in MODALITIES}
        if self.config.joint_reward:
            reward = dict.fromkeys(MODALITIES, sum(reward.values()))
        advantage = {m: self.baselines[m].advantage(reward[m]) for m in MODALITIES}
        advantages = {f"advantage_{m}": a if a is not None else 0.0 for m, a in advantage.items()}
        if any(a is None for a in advantage.values()):
            return advantages
        weights = torch.tensor([advantage[m] for m in MODALITIES], device=self.fabric.device).unsqueeze(-1)
        count = sum(len(t.index) for t in transitions)
        self.optimizer.zero_grad(set_to_none=True)
        for transition in transitions:  # computed again with gradient, because 32 graphs would not fit in memory
            batch = self.table.batch(transition.index)
            log_pi = log_probability(self._logits(batch), transition.keep, batch.weak, self.config.all_classes)
            self.fabric.backward(-(weights * log_pi).sum() / count)
            self.request.stop_if_asked()
        self.optimizer.step()
        return advantages

    def _logits(self, batch: Batch) -> Tensor:
        with self.fabric.autocast():
            logits: Tensor = self.policy(batch.features, batch.weak)
        return logits.float()

    def _converged(self) -> bool:
        span = self.config.patience
        if not span or len(self.rewards) < 2 * span:
            return False
        return float(np.mean(self.rewards[-span:]) - np.mean(self.rewards[-2 * span : -span])) < self.config.least_gain

    def _checkpoint(self) -> None:
        state = {
            "epoch": self.episode,
            "step": 0,
            "rewards": self.rewards,
            "baselines": {m: b.state() for m, b in self.baselines.items()},
        }
        save_checkpoint(self.workspace.folder / "checkpoints", capture(self.policy, self.optimizer, state))


class _SampledQuality:
    """Quality of the sampled labels of an episode, where the truth of the training split is known."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.kept, self.wrong, self.violated, self.videos = (torch.zeros(2, dtype=torch.long) for _ in range(4))
        self.known = bool(workspace.store.annotated[workspace.train].all())

    def add(self, index: Indices, actions: Actions) -> None:
        labels = actions.labels.bool().cpu()
        self.kept += labels.sum(dim=(1, 2))
        self.violated += actions.violated.sum(dim=1).cpu()
        self.videos += len(index)
        if self.known:
            self.wrong += (labels & ~self.workspace.modality_truth(index)).sum(dim=(1, 2))

    def metrics(self) -> dict[str, float]:
        values = {f"violations_{m}": float(self.violated[i] / self.videos[i]) for i, m in enumerate(MODALITIES)}
        if self.known:
            values |= {f"noise_{m}": float(self.wrong[i] / self.kept[i]) for i, m in enumerate(MODALITIES)}
        return values


def episode_states(order: Indices, steps: int, size: int, overlap: float) -> Iterator[Indices]:
    """Yield the videos of each state: a random part of the previous one, and unseen ones from ``order`` [8].

    The order is repeated where the split is smaller than an episode.
    """
    shared = int(size * overlap)
    size = min(size, len(order))
    state = order[:size]
    position = size
    yield state
    for step in range(1, steps):
        kept = np.random.default_rng([int(order[0]), step]).permutation(state)[:shared]
        fresh = order[(position + np.arange(size - len(kept))) % len(order)]
        position += len(fresh)
        state = np.concatenate((kept, fresh))
        yield state
