"""The environment of RLLD: a task network that is trained for a few steps on revised labels, and then scored.

The policy acts on the labels of training videos; what it gets back is how well the task network does on validation
after it has learned from them. What the task network knows before an episode, and how much of it learns, decide whether
that reward can tell good labels from bad ones. Numbers in brackets refer to ``docs/methods/rlld.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from avparse.data.batching import FeatureTable, Indices, batches, stream_statistics, task_spec
from avparse.data.features import Batch, Features, Step
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import Counts, count_blocks
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_bytes
from avparse.foundation.progress import Tracker, track
from avparse.foundation.settings import PartConfig, build
from avparse.labels.reinforced.actions import sampled_targets
from avparse.labels.segments import SegmentTable
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.losses.loss import Loss
from avparse.models.output import Hidden, ParserOutput
from avparse.models.parsers import AnyParser
from avparse.models.parsers.build import build_parser
from avparse.models.weights import read_sealed, sealed_bytes
from avparse.training.workspace import Workspace

_ENCODED = dict(zip(MODALITIES, ("encoded_audio", "encoded_visual"), strict=True))

Labels = Callable[[Batch], Tensor]
"""Revised labels ``[2, B, C]`` (audio, visual) of the videos of a state."""


class EnvironmentConfig(PartConfig):
    """Settings of an environment.

    Attributes:
        start: knowledge of the task network when an episode begins: none (``scratch``), or that of ``warm_epochs`` of
            training on the weak labels (``weak``) [10].
        warm_epochs: number of those epochs, with the recipe's rate and batch size; a part of an epoch is allowed.
        trains: part of the task network that learns in an episode: ``all``, or the ``decoder`` alone. The encodings of
            the videos are then computed once, losses of stem and encoder alone are left out as they teach the decoder
            nothing, and an episode costs a fortieth.
        reset: whether the task network goes back to its start before every ``episode``, or ``never``: then it goes on
            with the weights that the greedy labels have taught it in the last episode [10].
        steps, batch_size, overlap: states of an episode, videos of a state, and the share of its videos that each state
            has in common with the next [8].
        updates_per_state: number of updates that share the videos of a state, each on its part of them [9].
        task_rate: learning rate of the task network's Adam, which starts anew in every episode.
    """

    start: Literal["scratch", "weak"] = "scratch"
    warm_epochs: float = Field(1.6, gt=0)
    trains: Literal["all", "decoder"] = "all"
    reset: Literal["episode", "never"] = "episode"
    steps: int = Field(32, ge=1)
    batch_size: int = Field(128, ge=2)
    overlap: float = Field(0.25, ge=0, lt=1)
    updates_per_state: int = Field(1, ge=1)
    task_rate: float = Field(5e-4, gt=0)


class Environment:
    """A task network, its start, and the videos that reward.

    Attributes:
        network: the task network; after :meth:`run` as the episode left it.
        streams: feature table of the store.
        table: feature table that the task network reads: the same, or one of encoded segments.

    Args:
        config: settings of the environment.
        workspace: data, recipe and folder; the task network that was trained on weak labels is kept there.
        reward_videos: positions of the annotated validation videos that reward.

    Raises:
        UserError: only the decoder is to learn, and the recipe's parser has none of its own or is read in two passes.
    """

    def __init__(self, config: EnvironmentConfig, workspace: Workspace, reward_videos: Indices) -> None:
        self.config, self.workspace, self.reward_videos = config, workspace, reward_videos
        recipe, store = workspace.recipe, workspace.store
        self.fabric = workspace.compute.fabric(recipe.training.precision)
        self.streams = self.table = workspace.table()
        pseudo = workspace.segments
        self.segments = None if pseudo is None else SegmentTable(pseudo, store, self.fabric.device)
        # An episode is shorter than an epoch, so losses that start in a later epoch have no part in it.
        self.losses: list[Loss] = [x for x in (build(LOSSES, c) for c in recipe.losses) if x.config.after == 0]
        self.network: nn.Module = self._started()
        self.start = _copied(self.network)

    def run(self, labels: Labels, order: Indices, seed: int, every_step: Callable[[], None] = lambda: None) -> Counts:
        """Train the task network through one episode, and return the counts of its decisions on the rewarding videos.

        Args:
            labels: revised labels of the videos of a state.
            order: order ``[N]`` in which the training videos are visited.
            seed: seed of the dropout.
            every_step: called after each state, to end an episode on request.
        """
        config = self.config
        torch.manual_seed(seed)
        self.network.load_state_dict(self.start)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=config.task_rate, fused=True)
        for number, index in enumerate(episode_states(order, config.steps, config.batch_size, config.overlap)):
            batch = self.table.batch(index)
            self._learn(optimizer, batch, labels(batch), Step(0, number, config.steps))
            every_step()
        return self.score()

    def score(self) -> Counts:
        """Return the counts of right, wrong and missed decisions on the rewarding videos."""
        rule, store = self.workspace.recipe.decoding, self.workspace.store
        self.network.eval()
        with self.fabric.autocast():
            audio, visual = rule.decide(predict(rule.reading(self.network), self.table, self.reward_videos))
        return Counts.of_blocks(count_blocks(audio.numpy(), visual.numpy(), *store.dense_truth(self.reward_videos)))

    def silence(self) -> Counts:
        """Return the counts of decisions that nothing is heard or seen anywhere."""
        audio, visual, mask = self.workspace.store.dense_truth(self.reward_videos)
        return Counts.of_blocks(count_blocks(np.zeros_like(audio), np.zeros_like(visual), audio, visual, mask))

    def go_on(self) -> None:
        """Let the next episodes start from the weights that the last one left."""
        self.start = _copied(self.network)

    def _learn(self, optimizer: torch.optim.Optimizer, batch: Batch, labels: Tensor, step: Step) -> None:
        """Descend the task loss on the revised labels of a state, once or in equal parts of its videos."""
        if self.config.updates_per_state == 1:
            self._update(optimizer, batch, labels, step)
            return
        for part in np.array_split(np.arange(len(batch.index)), self.config.updates_per_state):
            if len(part):
                some = torch.from_numpy(part).to(labels.device)
                piece = self.table.batch(batch.index[some].cpu().numpy())
                self._update(optimizer, piece, labels[:, some], step)

    def _update(self, optimizer: torch.optim.Optimizer, batch: Batch, labels: Tensor, step: Step) -> None:
        self.network.train()
        targets = self._targets(batch, labels)
        with self.fabric.autocast():
            output = self.network(batch.features)
        loss = torch.stack([x.config.weight * x(output, targets, batch, step) for x in self.losses]).sum()
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()

    def _targets(self, batch: Batch, labels: Tensor) -> Targets:
        """Return what revised labels ``[2, B, C]`` ask of the task network."""
        segments = (None, None) if self.segments is None else self.segments(batch.index)
        return sampled_targets(labels, batch.weak, segments, self.workspace.recipe.refined_video)

    def _started(self) -> nn.Module:
        """Return the task network as the first episode finds it."""
        workspace = self.workspace
        parser = build_parser(workspace.recipe.parser, task_spec(workspace.store)).to(self.fabric.device)
        if parser.needs_statistics:
            parser.calibrate(stream_statistics(workspace.store, workspace.train))
        if self.config.start == "weak":
            with torch.random.fork_rng(devices=[]):  # what is random afterwards does not depend on whether it was done
                self._warm(parser)
        if self.config.trains == "all":
            return parser
        decoder = getattr(parser, "decoder", None)
        if not isinstance(decoder, nn.Module) or workspace.recipe.decoding.unimodal_share:
            raise UserError(
                "denoiser.trains: 'decoder' needs a parser of stem, encoder and decoder that is read in one pass; set "
                "denoiser.trains to all"
            )
        self.losses = [loss for loss in self.losses if self._reaches(decoder, loss, parser)]
        parser.eval()
        self.table = self._encoded(parser)
        return _DecoderOnly(decoder)

    def _reaches(self, decoder: nn.Module, loss: Loss, parser: AnyParser) -> bool:
        """Return whether a loss depends on the decoder; one of stem and encoder alone teaches a decoder nothing."""
        batch = self.table.batch(self.workspace.train[: self.config.batch_size])
        with torch.random.fork_rng(devices=[]):
            output = parser.train()(batch.features)
        value = loss(output, self._targets(batch, batch.weak.expand(2, -1, -1)), batch, Step(0, 0, 1))
        if not value.requires_grad:
            return False
        gradients = torch.autograd.grad(value, list(decoder.parameters()), allow_unused=True)
        return any(gradient is not None for gradient in gradients)

    def _warm(self, parser: AnyParser) -> None:
        """Train a parser on the weak labels, or read the one that was."""
        path = self.workspace.folder / "warm.safetensors"
        if path.is_file():
            parser.load_state_dict(read_sealed(path, required=True))
            return
        train, training = self.workspace.train, self.workspace.recipe.training
        size = training.batch_size
        updates = max(1, round(self.config.warm_epochs * len(train) / size))
        random = self.workspace.random("warm")
        torch.manual_seed(int(random.integers(2**63)))
        optimizer = torch.optim.Adam(parser.parameters(), lr=training.optimizer.rate, fused=True)
        self.network = parser
        done = 0
        bar: Tracker[None] = track(None, "RLLD: weak labels", total=updates, unit="step")
        with bar:
            while done < updates:
                for index in batches(random.permutation(train), size):
                    batch = self.table.batch(index)
                    self._update(optimizer, batch, batch.weak.expand(2, -1, -1), Step(0, done, updates))
                    done += 1
                    bar.update()
                    if done == updates:
                        break
        write_bytes(path, sealed_bytes(parser.state_dict()))

    @torch.no_grad()
    def _encoded(self, parser: AnyParser) -> FeatureTable:
        """Return a table of the encodings of the training and the rewarding videos."""
        rows: dict[str, Tensor] = {}
        videos = np.concatenate((self.workspace.train, self.reward_videos))
        pieces = list(batches(videos, self.config.batch_size))
        for index in track(pieces, "RLLD: encoding", unit="batch"):
            with self.fabric.autocast():
                hidden = parser(self.table.batch(index).features).hidden
            assert hidden is not None
            where = torch.from_numpy(self.table.rows(index)).to(self.fabric.device)
            real = where == where.cummax(dim=1).values  # every row but the repeated last one, which is equal
            for modality, name in _ENCODED.items():
                encoded = getattr(hidden, modality).float()
                if name not in rows:
                    rows[name] = encoded.new_zeros(self.workspace.store.manifest.rows, encoded.shape[-1])
                rows[name][where[real]] = encoded[real]
        return self.table.with_streams(rows)


class _DecoderOnly(nn.Module):
    """A parser's decoder, which reads encoded segments as if they were streams."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Features) -> ParserOutput:
        """Decode the encodings ``[B, T, H]`` of both modalities."""
        audio, visual = (features.streams[name] for name in _ENCODED.values())
        output: ParserOutput = self.decoder(Hidden(audio, visual), features.audio_mask, features.visual_mask)
        return output


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


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
