"""Profile of a recipe: parameters, matrix products, memory and time of its parser, in prediction and in training.

Each recipe is measured in a process of its own, on random features of the shapes that it reads, at the given batch
size. The count includes the multiplications and additions of matrix products and convolutions (PyTorch's counter), two
for each product; norms, dropout and the optimiser are in the time and not in the count. The part of a denoiser that
refines every batch belongs to a training step; its part before training does not.
"""

from __future__ import annotations

import copy
import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from avparse.app.profile.measure import Memory, flops, matrix_peak, timed
from avparse.data.batching import task_spec
from avparse.data.datasets.llp import LLP_FOLDERS
from avparse.data.features import Step, TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import LLP_CLASSES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.foundation.settings import build
from avparse.labels.refiner import Refiner
from avparse.labels.segments import SegmentLabels, from_padded
from avparse.media.extractors import clip_clap
from avparse.models.parsers import SplitParser
from avparse.training.denoisers import DENOISERS
from avparse.training.denoisers.denoiser import Denoiser, LearnsFirst
from avparse.training.devices import Compute
from avparse.training.preparation import prepare
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe, list_recipes, load_recipe
from avparse.training.run import Run
from avparse.training.trainer import Trainer
from avparse.training.workspace import Workspace

_STREAMS = {folder.stream: folder.dimension for folder in LLP_FOLDERS} | clip_clap.DIMENSIONS  # as published
_LEAST = 16  # videos of a split: enough for the folds of denoisers
_MIB = 1 << 20
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Conditions:
    """Conditions under which recipes are compared.

    Attributes:
        batch_size: number of videos in a batch, in training and in prediction.
        segments: number of segments of a video.
        steps: number of timed steps, of which the median counts.
        device: device of the measurement, as for ``avparse train``.
        changes: settings of every recipe to replace.
        denoise: whether to run the recipe's denoiser first. Its refinement of every batch is always measured.
        store: path of a store that classes and streams are taken from; None for the published ones.
    """

    batch_size: int = 128
    segments: int = 10
    steps: int = 5
    device: str = "auto"
    changes: tuple[str, ...] = ()
    denoise: bool = False
    store: Path | None = None


@dataclass(frozen=True)
class Cost:
    """Measured cost of one recipe.

    Attributes:
        name: name of the recipe, or of several with the same cost, separated by commas.
        parameters: number of parameters that parsing uses, of both networks where a run has two.
        training_parameters: number of parameters that only training uses.
        unmoved: names of parameters that no training step changes.
        forward_flops, training_flops: FLOPs of one segment, in prediction and in training.
        peak_bytes: memory of a training step beyond that before the parser was built.
        forward_s, training_s: seconds of one batch, in prediction and in training.
        segments: number of segments in one batch.
        limit: FLOP/s of the machine's best matrix product of width 2048, in the recipe's precision.
    """

    name: str
    parameters: int
    training_parameters: int
    unmoved: tuple[str, ...]
    forward_flops: float
    training_flops: float
    peak_bytes: int
    forward_s: float
    training_s: float
    segments: int
    limit: float

    @property
    def over_limit(self) -> float:
        """Ratio of the time of a training step to that of its matrix products at the limit."""
        return self.training_s * self.limit / (self.training_flops * self.segments)


@dataclass(frozen=True)
class Unmeasured:
    """A recipe that could not be measured, or several in one row, with the reason."""

    name: str
    reason: str


def profile(recipes: Sequence[str], conditions: Conditions) -> Iterator[Cost | Unmeasured]:
    """Measure recipes, one after the other.

    Args:
        recipes: recipes to measure, one row for each; if empty, all shipped ones, with those of the same cost in one
            row.
        conditions: conditions of the measurement.

    Raises:
        UserError: a recipe is bad, or the store does not exist; in that case nothing is measured.
    """
    for name in recipes:
        load_recipe(name, conditions.changes)
    if conditions.store is not None:
        FeatureStore.open(conditions.store)
    return _rows([[name] for name in recipes] or alike(list_recipes(), conditions), conditions)


def _rows(groups: Sequence[list[str]], conditions: Conditions) -> Iterator[Cost | Unmeasured]:
    for group in track(groups, "profile", total=len(groups), unit="recipe"):
        name, context = ", ".join(group), multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as process:
            try:
                yield replace(process.submit(measure, group[0], conditions).result(), name=name)
            except UserError as error:
                yield Unmeasured(name, str(error))


def alike(names: Sequence[str], conditions: Conditions) -> list[list[str]]:
    """Group recipes of equal cost, in the order given: networks, losses and refinement of every batch are equal.

    Raises:
        UserError: a recipe is bad.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        recipe = load_recipe(name, conditions.changes)
        training = recipe.training
        network = (recipe.parser, recipe.losses, recipe.decoding.unimodal_share)
        loop = (training.precision, training.cross, training.clip_norm, training.select_visual is None)
        on_batches = None if _on_batches(recipe) is None else recipe.denoiser
        groups.setdefault(repr((network, loop, on_batches)), []).append(name)
    return list(groups.values())


def _on_batches(recipe: Recipe) -> Denoiser | None:
    """Return the recipe's denoiser if it refines every batch."""
    denoiser: Denoiser | None = None if recipe.denoiser is None else build(DENOISERS, recipe.denoiser)
    return denoiser if denoiser is not None and denoiser.leaves == "refiners" else None


def _refiners(recipe: Recipe, store: FeatureStore, folder: Path, compute: Compute) -> Sequence[Refiner]:
    """Return the refiners of the recipe's denoiser in their initial state."""
    denoiser = _on_batches(recipe)
    if denoiser is None:
        return ()
    workspace = Workspace(recipe, store, folder, 0, compute, _random_labels(recipe, store))
    if isinstance(denoiser, LearnsFirst):
        return denoiser.untrained_refiners(workspace)
    return denoiser.prepare(workspace).refiners


def measure(name: str, conditions: Conditions) -> Cost:
    """Measure one recipe in this process.

    Raises:
        UserError: the recipe is bad, or needs data that are not available here.
    """
    recipe = load_recipe(name, conditions.changes)
    with tempfile.TemporaryDirectory() as folder:
        store = _random_store(Path(folder) / "store", _spec(recipe, conditions), conditions.batch_size)
        torch.manual_seed(0)
        run = Run.create(Path(folder) / "run", recipe, store, 0)
        segments, compute = _random_labels(recipe, store), Compute(conditions.device)
        if conditions.denoise:
            if segments is not None:
                segments.save(run.path / "pseudo.safetensors")
            prepared = prepare(run, store, compute)
        else:
            prepared = Prepared(segments=segments, refiners=_refiners(recipe, store, Path(folder), compute))
        memory = Memory()
        trainer = Trainer(run, store, prepared, compute)
        return _measured(name, trainer, conditions, memory)


def heading(conditions: Conditions) -> str:
    """Return the text above the rows of a Markdown table of costs."""
    device = torch.cuda.get_device_name() if conditions.device != "cpu" and torch.cuda.is_available() else "CPU"
    return (
        f"Batches of {conditions.batch_size} videos; {device}, {torch.get_num_threads()} threads. A parameter in "
        "brackets is used in training only. MFLOP and rates are of one segment; memory is that of a training step; "
        "limit: time of a training step over that of its matrix products alone at the machine's best rate. Refiners "
        "of every batch are counted, what a denoiser does before training is not.\n\n"
        "| recipe | parameters | forward MFLOP | training MFLOP | memory, MiB | step, ms | segments/s | "
        "parsing, segments/s | limit |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )


def as_row(c: Cost) -> str:
    """Return a cost as a row of the table."""
    extra = f" (+{c.training_parameters:,})" if c.training_parameters else ""
    return (
        f"| {c.name} | {c.parameters:,}{extra} | {c.forward_flops / 1e6:.1f} | {c.training_flops / 1e6:.1f} "
        f"| {c.peak_bytes / _MIB:.0f} | {c.training_s * 1e3:.0f} | {c.segments / c.training_s:,.0f} "
        f"| {c.segments / c.forward_s:,.0f} | {c.over_limit:.1f}x |"
    )


def _measured(name: str, trainer: Trainer, conditions: Conditions, memory: Memory) -> Cost:
    batch = trainer.table.batch(trainer.train_indices[: conditions.batch_size])
    training, device = trainer.recipe.training, trainer.table.device
    # In the last epoch, when every loss counts; not its first batch, in which refiners may do extra work.
    step = Step(training.epochs - 1, 1, 2)

    def train() -> None:
        trainer.model.train()
        list(trainer.step(batch, step))

    with memory.watched(device):
        train()
        train()  # the optimiser's moments exist from now on
    before = {n: p.detach().clone() for n, p in trainer.parser.named_parameters()}
    train()
    unmoved = tuple(n for n, p in trainer.parser.named_parameters() if torch.equal(p, before[n]))
    parser: nn.Module = trainer.model
    if training.select_visual is not None:
        parser = SplitParser(trainer.model, trainer.fabric.setup_module(copy.deepcopy(trainer.parser)))

    @torch.no_grad()
    def parse() -> None:
        trainer.recipe.decoding.reading(parser.eval())(batch.features)

    limit = matrix_peak(_DTYPES[training.precision], device)
    training_s, forward_s = (statistics.median(timed(job, device, conditions.steps)) for job in (train, parse))
    segments = batch.features.shape[0] * batch.features.shape[1]
    return Cost(
        name=name,
        parameters=_count(parser, guides=False),
        training_parameters=_count(trainer.model, guides=True),
        unmoved=unmoved,
        forward_flops=flops(parse) / segments,
        training_flops=flops(train) / segments,
        peak_bytes=memory.peak,
        forward_s=forward_s,
        training_s=training_s,
        segments=segments,
        limit=max(limit, matrix_peak(_DTYPES[training.precision], device)),
    )


def _count(parser: nn.Module, guides: bool) -> int:
    """Count the parameters that belong to guides, or those that do not."""
    return sum(p.numel() for name, p in parser.named_parameters() if ("guides" in name.split(".")) == guides)


def _spec(recipe: Recipe, conditions: Conditions) -> TaskSpec:
    """Return the shapes of a store, or the published ones of the streams that the recipe reads."""
    if conditions.store is not None:
        return task_spec(FeatureStore.open(conditions.store)).model_copy(update={"segments": conditions.segments})
    stem = getattr(recipe.parser, "stem", recipe.parser)
    names = [*getattr(stem, "audio", ()), *getattr(stem, "visual", ())]
    unknown = next((name for name in names if name not in _STREAMS), None)
    if unknown is not None:
        raise UserError(f"profile: how large is stream '{unknown}'? Give a store that has it with --data")
    rates: dict[str, int] = getattr(stem, "rates", {})
    streams = {name: _STREAMS[name] * rates.get(name, 1) for name in names or _STREAMS}
    return TaskSpec(classes=LLP_CLASSES, streams=streams, segments=conditions.segments)


def _random_store(path: Path, spec: TaskSpec, videos: int) -> FeatureStore:
    """Write a store of random features, labels and truth with at least ``videos`` for training and some to validate."""
    random = np.random.default_rng(0)
    vocabulary = Vocabulary(spec.classes)
    streams = {n: StreamInfo(dimension=d, dtype="float32", extractor="random") for n, d in spec.streams.items()}
    with StoreWriter.create(
        path, vocabulary=vocabulary, streams=streams, segment_seconds=spec.segment_seconds, truth=True
    ) as writer:
        for split, count in (("train", max(videos, _LEAST)), ("val", _LEAST)):
            rows = count * spec.segments
            truth = {m: random.random((rows, len(vocabulary))) < 0.05 for m in ("audio", "visual")}
            either = (truth["audio"] | truth["visual"]).reshape(count, spec.segments, -1)
            writer.append(
                Block(
                    videos=[f"{split}{i}" for i in range(count)],
                    splits=[split] * count,
                    lengths=[spec.segments] * count,
                    durations=[spec.segments * spec.segment_seconds] * count,
                    origins=["random"] * count,
                    weak=np.logical_or.reduce(either, axis=1),
                    streams={n: random.standard_normal((rows, d), np.float32) for n, d in spec.streams.items()},
                    truth=truth,
                )
            )
    return FeatureStore.open(path)


def _random_labels(recipe: Recipe, store: FeatureStore) -> SegmentLabels | None:
    """Return the truth of the training videos as segment labels, for a recipe that makes any."""
    if recipe.pseudo_labels is None:
        return None
    train = store.select("train")
    audio, visual, _ = store.dense_truth(train)
    return from_padded(store, train, torch.from_numpy(audio), torch.from_numpy(visual))
