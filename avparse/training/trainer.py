"""The training loop: targets, losses, steps; validation every epoch; selection of the best epoch; exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from avparse.data.batching import FeatureTable, Indices, batches, epoch_order, stream_statistics
from avparse.data.features import Batch, Step
from avparse.data.store import FeatureStore
from avparse.evaluation.comparison import compare_with_labels, score_table, validation_metrics
from avparse.evaluation.decoding_tuning import tune_decoding
from avparse.foundation.errors import UserError
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.progress import Tracker, track
from avparse.foundation.settings import build
from avparse.losses import LOSSES
from avparse.models.decoding import DecodingRule
from avparse.models.output import Parse
from avparse.models.parsers.build import build_parser, networks
from avparse.models.weights import load_weights
from avparse.training.batch_targets import BatchTargets
from avparse.training.checkpoint import capture, load_checkpoint, restore, save_checkpoint
from avparse.training.devices import AUTO, Compute
from avparse.training.logs import RunLog
from avparse.training.prepared import Prepared
from avparse.training.recipe import LAST
from avparse.training.results import Results
from avparse.training.run import Run
from avparse.training.schedule import SCHEDULES


@dataclass
class Position:
    """Position of a run: the part of a checkpoint that is not tensors.

    Attributes:
        epoch, step: epoch and step to do next.
        best, best_epoch: best value so far of the selecting metric in percent, and its epoch.
        best_visual, best_visual_epoch: best value so far of the metric that selects the visual part, if there is one,
            and its epoch.
        sums: sum of each loss over the steps of this epoch, by label.
    """

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    best_epoch: int = -1
    best_visual: float = -1.0
    best_visual_epoch: int = -1
    sums: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Training of one run.

    Args:
        run: run to train; a checkpoint in its folder is resumed.
        store: feature store with training and validation data.
        prepared: result of the denoiser: refined labels, and refiners for every batch.
        compute: device of the run.
        checkpoint_seconds: least time in seconds between two checkpoints at the end of an epoch.
    """

    def __init__(
        self,
        run: Run,
        store: FeatureStore,
        prepared: Prepared | None = None,
        compute: Compute = AUTO,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        prepared = prepared or Prepared()
        self.run, self.recipe = run, run.recipe
        self.checkpoint_seconds = checkpoint_seconds
        self.fabric = compute.fabric(self.recipe.training.precision)
        self.fabric.launch()
        self.train_indices = store.select("train") if prepared.only is None else prepared.only
        self.val_indices = store.select("val") if prepared.val is None else prepared.val
        torch.manual_seed(run.info.seed)
        self.parser = build_parser(self.recipe.parser, run.info.spec, self.recipe.training.cross)
        if self.parser.needs_statistics:
            self.parser.calibrate(stream_statistics(store, self.train_indices))
        start = run.start() if prepared.start is None else prepared.start
        if start is not None:
            load_weights(self.parser, start, str(run.path))
        self.table = FeatureTable(store, device=self.fabric.device, resident=compute.resident)
        self.model, self.optimizer = self.fabric.setup(self.parser, self.recipe.training.optimizer.build(self.parser))
        self.networks = networks(self.parser)
        self.targets = BatchTargets(self.recipe, prepared, self.parser, self.table)
        self.losses = [build(LOSSES, config) for config in self.recipe.losses]
        self.schedule = build(SCHEDULES, self.recipe.training.schedule)
        self.position = Position()
        found = load_checkpoint(run.path / "checkpoints")
        if found is not None:
            restore(found, self.parser, self.optimizer)
            self.position = Position(**found.state)
            self.targets.load_state_dict(found.extra)
        self._saved_at = time.monotonic()

    def fit(self) -> None:
        """Train to the last epoch, or to a signal: then a checkpoint is saved and the program exits."""
        epochs = self.recipe.training.epochs
        steps = -(-len(self.train_indices) // self.recipe.training.batch_size)
        done = self.position.epoch * steps + self.position.step
        bar: Tracker[None] = track(None, self.recipe.title, total=epochs * steps, unit="step", first=done)
        with RunLog(self.run.path, keep_epochs=self.position.epoch) as log, StopRequest() as request, bar:
            while self.position.epoch < epochs:
                epoch, begun, first = self.position.epoch, time.monotonic(), self.position.step
                order = self.train_indices[epoch_order(len(self.train_indices), self.run.info.seed, epoch)]
                losses = self._epoch(order, request, bar.update)
                if not math.isfinite(losses["loss"]):
                    raise UserError(
                        f"{self.run.path}: the loss is not finite in epoch {epoch + 1}; train anew with a lower "
                        "training.optimizer.rate, or bound the gradients with training.clip_norm"
                    )
                seconds = time.monotonic() - begun
                videos = len(order) - first * self.recipe.training.batch_size
                scores = self._validate()
                self._keep_if_best(epoch, scores)
                bar.note(self._progress(epoch))
                self.position = replace(self.position, epoch=epoch + 1, step=0, sums={})
                log.write(
                    epoch,
                    {
                        **losses,
                        **{f"val/{k}": v for k, v in scores.items()},
                        "rate": self._rate(epoch),
                        "seconds": seconds,
                        "videos_per_second": videos / max(seconds, 1e-9),
                    },
                )
                if time.monotonic() - self._saved_at >= self.checkpoint_seconds or epoch + 1 == epochs:
                    self.checkpoint()
                if request.signal is not None:
                    self.checkpoint()
                    request.stop()

    def finish(self) -> Results | None:
        """Tune the thresholds on validation if the recipe says so, then score the best epoch on the test split.

        Returns:
            The content of the run's results; None without an annotated test split.
        """
        store, rule = self.table.store, self._rule()
        if "test" not in store.splits:
            return None
        indices = store.select("test")
        if not store.annotated[indices].all():
            return None
        parser = self.run.parser(self.fabric.device)
        scores = compare_with_labels(parser, self.table, indices, rule)
        metrics = {name: s.as_dict() for name, s in scores.items()}
        results = Results(split="test", videos=len(indices), epoch=self.position.best_epoch, scores=metrics)
        caption = (
            f"{self.recipe.title}, seed {self.run.info.seed}, epoch {self.position.best_epoch + 1}, "
            f"{len(indices)} test videos, percent. Data: {store.about}."
        )
        self.run.save_results(results, score_table(metrics, caption))
        return results

    def _rule(self) -> DecodingRule:
        """Return the decoding rule; it is tuned only once."""
        if self.recipe.tuning is None or (self.run.path / "decoding.json").is_file():
            return self.recipe.decoding
        parser = self.run.parser(self.fabric.device)
        rule = tune_decoding(parser, self.table, self.val_indices, self.recipe.decoding, self.recipe.tuning)
        self.run.save_decoding(rule)
        return rule

    def checkpoint(self) -> None:
        """Save the state of the run."""
        found = capture(self.parser, self.optimizer, vars(self.position))
        found.extra |= self.targets.state_dict()
        save_checkpoint(self.run.path / "checkpoints", found)
        self._saved_at = time.monotonic()

    def _epoch(self, order: Indices, request: StopRequest, advance: Callable[[int], object]) -> dict[str, float]:
        """Do the remaining steps of an epoch and return its mean losses."""
        training = self.recipe.training
        pieces = list(batches(order, training.batch_size))
        sums = {name: torch.tensor(v, device=self.fabric.device) for name, v in self.position.sums.items()}
        self.model.train()
        for piece in pieces[self.position.step :]:
            self._set_rate(self.position.epoch + self.position.step / len(pieces))
            step = Step(self.position.epoch, self.position.step, len(pieces))
            for name, value in self.step(self.table.batch(piece), step):
                sums[name] = sums.get(name, 0) + value * len(piece)
            self.position.step += 1
            advance(1)
            if request.signal is not None and self.position.step < len(pieces):
                self.position.sums = {name: float(v) for name, v in sums.items()}
                self.checkpoint()
                request.stop()
        return {name: float(v) / len(order) for name, v in sums.items()}

    def step(self, batch: Batch, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Take one optimiser step; yield the loss and its terms."""
        output = self.model(batch.features)
        targets = self.targets(batch, step, output, self.model)
        active = (loss for loss in self.losses if step.epoch >= loss.config.after)
        terms = [(loss.label, loss.config.weight, loss(output, targets, batch, step)) for loss in active]
        total = torch.stack([weight * value for _, weight, value in terms]).sum()
        self.fabric.backward(total)
        if self.recipe.training.clip_norm is not None:
            for parameters in self.networks:
                nn.utils.clip_grad_norm_(parameters, self.recipe.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        yield "loss", total.detach()
        yield from ((f"loss/{label}", value.detach()) for label, _, value in terms)

    def _validate(self) -> dict[str, float]:
        """Return the validation metrics of the parser; none without dense truth."""
        if not self.table.store.annotated[self.val_indices].all():
            return {}
        self.model.eval()
        parse: Parse = self.model
        return validation_metrics(parse, self.table, self.val_indices, self.recipe.decoding)

    def _progress(self, epoch: int) -> str:
        """Return the text beside the progress bar after an epoch."""
        select = self.recipe.training.select
        best = "" if select == LAST else f", best validation {select} {self.position.best:.1f}"
        return f"epoch {epoch + 1}/{self.recipe.training.epochs}{best}"

    def _keep_if_best(self, epoch: int, scores: dict[str, float]) -> None:
        training, position = self.recipe.training, self.position
        metric = scores[training.select] if training.select != LAST else float(epoch)
        if metric >= position.best:
            position.best, position.best_epoch = metric, epoch
            self.run.save_parser(self.parser)
        if training.select_visual is not None and scores[training.select_visual] >= position.best_visual:
            position.best_visual, position.best_visual_epoch = scores[training.select_visual], epoch
            self.run.save_parser(self.parser, "visual")

    def _rate(self, epoch: float) -> float:
        return self.recipe.training.optimizer.rate * self.schedule(epoch, self.recipe.training.epochs)

    def _set_rate(self, epoch: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(epoch) * group["multiple"]
