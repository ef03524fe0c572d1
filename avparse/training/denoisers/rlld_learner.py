"""How RLLD's policy learns, episode by episode.

The whole of the reinforcement learning is here: state, action, reward, baseline, update. An *episode* trains a task
network for a few steps on labels that the policy has sampled, and scores it on the validation split
(:mod:`avparse.training.denoisers.environment`); then the policy ascends the REINFORCE gradient once. Numbers in
brackets refer to ``docs/methods/rlld.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from avparse.data.batching import Indices, stream_statistics, task_spec
from avparse.data.features import Batch
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.credit import class_credit
from avparse.evaluation.parsing import METRICS, Counts, ParsingScores
from avparse.foundation.files import write_text
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.progress import Tracker, track
from avparse.foundation.settings import build
from avparse.labels.reinforced.actions import Actions, greedy, log_probability, sample
from avparse.labels.reinforced.exploration import ClassShift
from avparse.labels.reinforced.policies import POLICIES, KeepPolicy
from avparse.labels.reinforced.rewards import Baseline
from avparse.training.checkpoint import capture, load_checkpoint, restore, save_checkpoint
from avparse.training.denoisers.denoiser import split_validation
from avparse.training.denoisers.environment import Environment
from avparse.training.denoisers.reward_check import check_reward, known_labels
from avparse.training.denoisers.rlld_settings import RLLDSettings
from avparse.training.denoisers.sampled_quality import SampledQuality
from avparse.training.logs import JsonLines
from avparse.training.workspace import Workspace

_log = logging.getLogger(__name__)
_EPISODES = 0xE915  # separates the random streams of episodes from those that order the epochs


@dataclass
class _Transition:
    """One step of an episode, for the update: its videos and the draw."""

    index: Indices
    keep: Tensor


@dataclass
class _Played:
    """An episode that was played: the counts of its decisions on validation, its metrics, and its steps."""

    counts: Counts
    metrics: dict[str, float]
    transitions: list[_Transition]


class Learner:
    """The state of the training, from episode to episode."""

    def __init__(self, config: RLLDSettings, workspace: Workspace) -> None:
        self.config, self.workspace = config, workspace
        store = workspace.store
        self.reward_videos, _ = split_validation(workspace, config.val_split)
        torch.manual_seed(workspace.seed)
        self.environment = Environment(config, workspace, self.reward_videos)
        self.fabric, self.table = self.environment.fabric, self.environment.streams
        spec = task_spec(store)
        self.policy: KeepPolicy = build(POLICIES, config.policy, spec).to(self.fabric.device)
        if self.policy.needs_statistics:
            self.policy.calibrate(stream_statistics(store, workspace.train))
        self.begun = self.policy.start.clone()
        self.shift = ClassShift(config.shift, len(spec.classes))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.rate)
        self.baselines = {m: Baseline(config.baseline) for m in MODALITIES}
        self.request = StopRequest()
        self.episode, self.rewards = 0, list[float]()
        self.signal = ""  # result of the check, for the progress bar
        self._restore()

    def check(self) -> None:
        """Measure whether the reward tells good labels from bad, and say so where it does not."""
        path = self.workspace.folder / "reward_check.md"
        if self.config.check_seeds and not path.exists():
            with self.request:
                sets = known_labels(self.workspace, self.reward_videos)
                metrics = (self.config.audio_metric, self.config.visual_metric)
                random = self.workspace.random("check")
                result = check_reward(self.environment, sets, metrics, self.config.check_seeds, random, self.request)
            write_text(path, f"{result}\n")
            self.signal = f", signal to noise {result.best_ratio():.1f}"
            for warning in result.warnings():
                _log.warning("RLLD: %s", warning)

    def learn(self) -> None:
        """Run episodes until the last or until convergence; a signal drops the current one, to be repeated."""
        log = JsonLines(self.workspace.folder / "episodes.jsonl", "episode", self.episode)
        total = self.config.episodes
        bar: Tracker[None] = track(None, "RLLD", total=total, unit="episode", first=self.episode)
        play = self._play_labels if self.config.explores == "label" else self._play_classes
        with self.request, bar:
            while self.episode < total and not self._converged():
                metrics = play()
                log.write({"episode": self.episode, **metrics})
                self.rewards.append(metrics["reward_audio"] + metrics["reward_visual"])
                self.episode += 1
                self._checkpoint()
                bar.note(f"reward {self.rewards[-1]:.2f}{self.signal}")
                bar.update()
                self.request.stop_if_asked()

    @torch.no_grad()
    def keep_logits(self) -> Tensor:
        """Return the keep logits ``[2, N, C]`` of all training videos."""
        self.policy.eval()
        if self.config.explores == "class":
            self._shift_policy(self.shift.averaged())
        size = self.config.batch_size
        rows = [self.workspace.train[i : i + size] for i in range(0, len(self.workspace.train), size)]
        parts = [self._logits(self.table.batch(piece)).float().cpu() for piece in rows]
        return torch.cat(parts, dim=1)

    def _play_labels(self) -> dict[str, float]:
        """Sample every label by itself in one episode, and ascend the REINFORCE gradient of the policy network."""
        generator = torch.Generator().manual_seed(self._random(self.episode)[0])
        played = self._play(lambda logits, weak: sample(logits, weak, generator))
        baseline = self._go_on()
        return played.metrics | self._update(played, baseline)

    def _play_classes(self) -> dict[str, float]:
        """Play a pair of episodes with opposite shifts of all classes, and move the mean of the shifts."""
        generator = torch.Generator().manual_seed(self._random(self.episode)[0])
        drawn = self.shift.draw(generator)
        coins = int(torch.randint(2**62, (), generator=generator))
        pair = []
        for sign in (1, -1):
            self._shift_policy(self.shift.mean + sign * drawn)
            equal = torch.Generator().manual_seed(coins)  # both episodes toss the same coins
            pair.append(self._play(partial(sample, generator=equal)))
        first, second = pair
        self.shift.ascend(drawn, self._class_gain(first.counts, second.counts), self._inter_gradient())
        self._shift_policy(self.shift.mean)
        self._go_on()
        gaps = {f"gap_{m}": first.metrics[f"reward_{m}"] - second.metrics[f"reward_{m}"] for m in MODALITIES}
        return {key: (value + second.metrics[key]) / 2 for key, value in first.metrics.items()} | gaps

    def _play(self, decide: Callable[[Tensor, Tensor], Actions]) -> _Played:
        """Play one episode; ``decide`` turns the keep logits ``[2, B, C]`` and the weak labels of a state into actions.

        All randomness of an episode follows from seed and episode number, so a resumed run repeats it exactly.
        """
        transitions: list[_Transition] = []
        inter, quality = list[Tensor](), SampledQuality(self.workspace)

        def labels(batch: Batch) -> Tensor:
            index = batch.index.cpu().numpy()
            actions = decide(self._keep(batch), batch.weak)
            inter.append(self.config.inter.sampled(actions, batch.weak).mean(dim=-1))
            quality.add(index, actions)
            transitions.append(_Transition(index, actions.keep))
            return actions.labels

        seeds = self._random(0 if self.config.paired else self.episode)
        order = np.random.default_rng(seeds[2]).permutation(self.workspace.train)
        counts = self.environment.run(labels, order, seeds[1], self.request.stop_if_asked)
        metrics = self._rewards(counts, torch.stack(inter).mean(dim=0)) | quality.metrics()
        return _Played(counts, metrics, transitions)

    def _go_on(self) -> dict[str, float] | None:
        """Let the task network go on from what the greedy labels teach it; their rewards are a baseline."""
        if self.config.reset == "episode":
            return None
        played = self._play(partial(greedy, threshold=self.config.threshold))
        self.environment.go_on()
        return played.metrics

    def _class_gain(self, counts: Counts, others: Counts) -> Tensor:
        """Return what every class contributes to the difference of the terminal rewards of a pair, ``[2, C]``."""
        if self.config.credit == "class":
            credit = class_credit(counts, others)  # [C, 10]
        else:
            means = [100 * c.scores().mean(axis=0) for c in (counts, others)]
            credit = np.tile(means[0] - means[1], (self.shift.mean.shape[1], 1))
        columns = [METRICS.index(getattr(self.config, f"{m}_metric")) for m in MODALITIES]
        gain = self.config.terminal_scale * torch.from_numpy(credit[:, columns].T.copy())
        return gain.sum(dim=0).expand(2, -1) if self.config.joint_reward else gain

    def _inter_gradient(self) -> Tensor:
        """Return the exact gradient ``[2, C]`` of the expected inter-reward in a shift of all videos' logits."""
        shift = self.shift.mean.float().requires_grad_()
        if not self.config.inter_weight:
            return torch.zeros_like(self.shift.mean)
        weak = torch.from_numpy(self.workspace.given).float()
        logits = self.begun.cpu() + shift.unsqueeze(1)
        reward = self.config.inter_weight * self.config.inter.expected(logits.expand(-1, *weak.shape), weak).mean(dim=1)
        (gradient,) = torch.autograd.grad(reward.sum(), shift)
        return gradient.double()

    def _rewards(self, counts: Counts, resemblance: Tensor) -> dict[str, float]:
        """Return terminal rewards, inter-rewards ``[2]`` and their sums as metrics."""
        config, f = self.config, ParsingScores(counts.scores()).as_dict()
        terminal = {m: config.terminal_scale * f[getattr(config, f"{m}_metric")] for m in MODALITIES}
        inter = dict(zip(MODALITIES, resemblance.tolist(), strict=True))
        metrics = {f"reward_{m}": terminal[m] + config.inter_weight * inter[m] for m in MODALITIES}
        metrics |= {f"terminal_{m}": terminal[m] for m in MODALITIES}
        metrics |= {f"inter_{m}": inter[m] for m in MODALITIES}
        return metrics | {f"val/{k}": v for k, v in f.items()}

    def _random(self, episode: int) -> list[int]:
        sequence = np.random.SeedSequence(self.workspace.seed, spawn_key=(_EPISODES, episode))
        return [int(number) for number in sequence.generate_state(3)]

    def _update(self, played: _Played, baseline: dict[str, float] | None) -> dict[str, float]:
        """Ascend the expected reward by REINFORCE: (1/n) sum over branches of (R - b) log pi(actions | states)."""
        reward = {m: played.metrics[f"reward_{m}"] for m in MODALITIES}
        if baseline is not None:
            reward = {m: reward[m] - baseline[f"reward_{m}"] for m in MODALITIES}
        if self.config.joint_reward:
            reward = dict.fromkeys(MODALITIES, sum(reward.values()))
        advantage = {m: self.baselines[m].advantage(reward[m]) for m in MODALITIES}
        advantages = {f"advantage_{m}": a if a is not None else 0.0 for m, a in advantage.items()}
        if any(a is None for a in advantage.values()):
            return advantages
        weights = torch.tensor([advantage[m] for m in MODALITIES], device=self.fabric.device).unsqueeze(-1)
        count = sum(len(t.index) for t in played.transitions)
        self.optimizer.zero_grad(set_to_none=True)
        for transition in played.transitions:  # computed again with gradient, because 32 graphs would not fit in memory
            batch = self.table.batch(transition.index)
            log_pi = log_probability(self._logits(batch), transition.keep, batch.weak, self.config.all_classes)
            self.fabric.backward(-(weights * log_pi).sum() / count)
            self.request.stop_if_asked()
        self.optimizer.step()
        return advantages

    @torch.no_grad()
    def _keep(self, batch: Batch) -> Tensor:
        """Return the keep logits ``[2, B, C]`` of a batch of the environment, whose streams may be encodings."""
        self.policy.eval()
        if self.policy.stem is not None and self.environment.table is not self.table:
            batch = self.table.batch(batch.index.cpu().numpy())
        return self._logits(batch)

    def _logits(self, batch: Batch) -> Tensor:
        with self.fabric.autocast():
            logits: Tensor = self.policy(batch.features, batch.weak)
        return logits.float()

    def _shift_policy(self, shift: Tensor) -> None:
        """Let the policy start at its own start plus a shift ``[2, C]``."""
        self.policy.start.copy_(self.begun + shift.float().unsqueeze(1).to(self.begun.device))

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
            "shift": self.shift.state(),
        }
        checkpoint = capture(self.policy, self.optimizer, state)
        if self.config.reset == "never":
            checkpoint.extra |= {k: v.cpu().contiguous() for k, v in self.environment.start.items()}
        save_checkpoint(self.workspace.folder / "checkpoints", checkpoint)

    def _restore(self) -> None:
        found = load_checkpoint(self.workspace.folder / "checkpoints")
        if found is None:
            return
        restore(found, self.policy, self.optimizer)
        self.episode, self.rewards = found.state["epoch"], found.state["rewards"]
        for modality, state in found.state["baselines"].items():
            self.baselines[modality].load(state)
        if self.config.reset == "never":
            self.environment.start = {k: v.to(self.fabric.device) for k, v in found.extra.items()}
        if "shift" in found.state:
            self.shift.load(found.state["shift"])
