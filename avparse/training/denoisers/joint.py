"""RLLD in one run: policy and task network learn together, at little more than the cost of the task network.

The paper resets the task network in every episode, hundreds of times. Here it keeps learning, and the policy is
rewarded for what its labels would do to it *next*: several draws of labels for one batch each make one virtual step of
the decoder, which is judged on validation videos. Since the decoder has separate weights for each class, so has the
reward: a draw of class c is judged by the change of class c alone, in its own modality, against the mean of the other
draws (leave-one-out). One scalar no longer judges thousands of draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from avparse.data.batching import FeatureTable, Indices, stream_statistics, task_spec
from avparse.data.features import Batch
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig, build, part_of
from avparse.labels.actions import repair_union, sample
from avparse.labels.policy import POLICIES, KeepPolicy, PooledPolicy
from avparse.labels.prior import ClassPrior
from avparse.labels.refiner import Reads, Step
from avparse.labels.rewards import InterReward, leave_one_out
from avparse.labels.targets import Targets, cross_entropy
from avparse.models.output import Hidden, ParserOutput
from avparse.models.parser import Parser
from avparse.training.denoisers.rlld import split_validation

if TYPE_CHECKING:
    from avparse.training.workshop import Prepared, Workshop


class JointDenoiser:
    """Sets up the policy that learns within the training of the parser."""

    class Config(PartConfig):
        """Settings of the joint learning.

        Attributes:
            policy: the network; the pooled one costs less than a hundredth of HAN.
            rate: of the policy's Adam.
            start: at first ``keep`` nearly everything, or start at the class ``prior`` of the rewarding half.
            warmup: epochs on the labels as given, before the policy is asked.
            every: batches between two updates of the policy.
            rollouts: draws compared in an update.
            reward_videos: validation videos that score an update.
            virtual_rate: step of the virtual descent of the decoder.
            inter_weight: of the expected soft inter-reward, whose gradient is exact.
            inter: the soft inter-reward.
            may_empty: a modality may lose all labels, as long as each stays in the other one.
        """

        name: Literal["rlld-joint"] = "rlld-joint"
        policy: Annotated[PartConfig, *part_of(POLICIES, "policy")] = PooledPolicy.Config()
        rate: float = Field(1e-3, gt=0)
        start: Literal["keep", "prior"] = "keep"
        warmup: float = Field(2.0, ge=0)
        every: int = Field(4, ge=1)
        rollouts: int = Field(8, ge=2)
        reward_videos: int = Field(128, ge=1)
        virtual_rate: float = Field(0.1, gt=0)
        inter_weight: float = Field(0.01, ge=0)
        inter: InterReward = InterReward()
        may_empty: bool = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the refiner; half of validation rewards it, the other half selects the epoch."""
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        _, select = split_validation(workshop, "half")
        return Prepared(refiners=(JointPolicy(self.config, workshop),), val=select)


class JointPolicy:
    """A refiner that samples which labels to keep, and learns from what they do to the parser."""

    reads: Reads = "training"

    def __init__(self, config: JointDenoiser.Config, workshop: Workshop) -> None:
        self.config, self.workshop = config, workshop
        store, device = workshop.store, workshop.device
        torch.manual_seed(workshop.seed)
        self.policy: KeepPolicy = build(POLICIES, config.policy, task_spec(store)).to(device)
        if self.policy.needs_statistics:
            self.policy.calibrate(stream_statistics(store, workshop.train))
        self.reward_videos, _ = split_validation(workshop, "half")
        if config.start == "prior":
            weak = torch.from_numpy(store.weak[self.reward_videos])
            prior = ClassPrior.count(weak, workshop.modality_truth(self.reward_videos), shrinkage=2.0)
            self.policy.start_from(prior.keep_logits(self.policy.bound).to(device))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=config.rate)
        self.generator = torch.Generator().manual_seed(workshop.seed)
        self.parser: Parser
        self.table: FeatureTable

    def attach(self, parser: nn.Module, table: FeatureTable) -> None:
        """Meet the parser whose labels these are.

        Raises:
            UserError: it has no decoder to try labels on.
        """
        if not isinstance(parser, Parser):
            raise UserError("rlld-joint: tries labels on a parser's decoder; it needs a composed parser, without twins")
        self.parser, self.table = parser, table

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return the targets less the labels that this draw drops; every few batches, learn first."""
        if step.progress < self.config.warmup:
            return targets
        if output is None or output.hidden is None:
            raise RuntimeError("the joint policy reads the training pass and its hidden segments")
        if step.step % self.config.every == 0:
            self._learn(batch, output.hidden)
        with torch.no_grad():
            logits = self.policy(batch.features, batch.weak)
        labels = self._draw(logits, batch.weak)
        dropped = (batch.weak > 0) & (labels == 0)
        return replace(
            targets, audio=targets.audio.masked_fill(dropped[0], 0), visual=targets.visual.masked_fill(dropped[1], 0)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return policy, optimiser and generator."""
        moments = self.optimizer.state_dict()["state"]
        return {
            **{f"policy.{k}": v.detach().cpu() for k, v in self.policy.state_dict().items()},
            **{f"adam.{i}.{k}": v.detach().cpu() for i, s in moments.items() for k, v in s.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a :meth:`state_dict`."""
        self.policy.load_state_dict({k[7:]: v for k, v in state.items() if k.startswith("policy.")})
        moments: dict[int, dict[str, Tensor]] = {}
        for name in (k for k in state if k.startswith("adam.")):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = state[name]
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.generator.set_state(state["generator"])

    def _draw(self, logits: Tensor, weak: Tensor) -> Tensor:
        actions = sample(logits, weak, self.generator, self.config.may_empty)
        return repair_union(actions, logits, weak).labels

    def _learn(self, batch: Batch, hidden: Hidden) -> None:
        """Update the policy once from several draws for this batch."""
        config = self.config
        logits = self.policy(batch.features, batch.weak)
        draws = [sample(logits, batch.weak, self.generator, config.may_empty) for _ in range(config.rollouts)]
        labels = [repair_union(draw, logits.detach(), batch.weak).labels for draw in draws]
        advantage = leave_one_out(self._rewards(batch, hidden, labels))  # [K, 2, C]
        advantage = advantage / advantage.square().mean(dim=(0, 2), keepdim=True).sqrt().clamp_min(1e-12)
        keep = torch.stack([draw.keep for draw in draws])  # [K, 2, B, C]
        log_pi = functional.logsigmoid(torch.where(keep, logits, -logits)) * batch.weak
        reinforce = (advantage.unsqueeze(2) * log_pi).sum(dim=(1, 2, 3)).mean() / len(batch.weak)
        inter = config.inter.expected(logits, batch.weak, config.may_empty).mean()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(-(reinforce + config.inter_weight * inter))
        self.optimizer.step()

    def _rewards(self, batch: Batch, hidden: Hidden, labels: list[Tensor]) -> Tensor:
        """Return the rewards ``[K, 2, C]``: validation likelihood after a virtual step of the decoder on each draw."""
        decoder = self.parser.decoder
        weights = dict(decoder.named_parameters())
        training = decoder.training
        decoder.eval()
        here = Hidden(hidden.audio.detach().float(), hidden.visual.detach().float())
        features = batch.features
        output = decoder(here, features.audio_mask, features.visual_mask)
        pool = self.reward_videos
        count = min(self.config.reward_videos, len(pool))
        draw = torch.randperm(len(pool), generator=self.generator)[:count].numpy()
        judges = self.table.batch(pool[draw])
        truth = self._segment_truth(pool[draw])
        self.parser.eval()
        with torch.no_grad():
            there = self.parser(judges.features).hidden
        self.parser.train(training)
        rewards = []
        for number, drawn in enumerate(labels):
            loss = cross_entropy(output.audio, drawn[0]).mean() + cross_entropy(output.visual, drawn[1]).mean()
            last = number == len(labels) - 1
            gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=not last)
            moved = {
                n: w.detach() - self.config.virtual_rate * g
                for (n, w), g in zip(weights.items(), gradients, strict=True)
            }
            with torch.no_grad():
                after = functional_call(
                    decoder, moved, (there, judges.features.audio_mask, judges.features.visual_mask)
                )
            rewards.append(
                torch.stack((_likelihood(after.audio_segments, truth[0]), _likelihood(after.visual_segments, truth[1])))
            )
        decoder.train(training)
        return torch.stack(rewards)

    def _segment_truth(self, indices: Indices) -> Tensor:
        audio, visual, _ = self.workshop.store.dense_truth(indices)
        return torch.from_numpy(np.stack((audio, visual))).float().to(self.workshop.device)

    @torch.no_grad()
    def keep_logits(self) -> Tensor:
        """Return the keep logits ``[2, N, C]`` of all training videos."""
        rows = [self.workshop.train[i : i + 256] for i in range(0, len(self.workshop.train), 256)]
        parts = [self.table.batch(piece) for piece in rows]
        return torch.cat([self.policy(b.features, b.weak).cpu() for b in parts], dim=1)


def _likelihood(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Return the mean log-likelihood ``[C]`` of the true segments.

    Not F: averaged over videos, F pays for silence where there is nothing, and a single class's F does not; it rewards
    keeping labels that are right one time in four. The likelihood asks for probabilities that are right.
    """
    return -cross_entropy(probabilities, truth).mean(dim=(0, 1))
