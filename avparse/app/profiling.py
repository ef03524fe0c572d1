"""What a recipe costs: parameters, matrix products, memory and time of its parser, forward and in training.

Each recipe is measured in a process of its own, on random features of the shapes that it reads, at the batch size asked
for. Counted are the multiplications and additions of matrix products and convolutions (PyTorch's counter), two for each
product; norms, dropout and the optimiser are in the time and not in the count.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avparse.app.measuring import Memory, flops, matrix_peak, timed
from avparse.data.batching import task_spec
from avparse.data.block import Block
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.store_format import StreamInfo
from avparse.data.store_writer import StoreWriter
from avparse.data.vocabulary import LLP_CLASSES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.labels.refiner import Step
from avparse.labels.segments import SegmentLabels, from_padded
from avparse.training.loop import Trainer
from avparse.training.preparation import prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run

# Of the published features: VGGish, ResNet-152, R(2+1)D-18, CLIP ViT-L/14, CLAP.
_STREAMS = {"audio": 128, "frames": 2048, "clips": 512, "clip": 768, "clap": 512}
_MIB = 1 << 20
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Conditions:
    """Under which recipes are compared.

    Attributes:
        batch_size: videos; that of training and of parsing.
        segments: of a video.
        steps: timed; the median counts.
        device: see ``avparse train``.
        changes: settings of every recipe to replace.
        denoise: let the recipe's denoiser do its work first, so that what it does in every batch is measured too.
        store: take shapes from this store.
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
    """What one recipe costs.

    Attributes:
        name: the recipe.
        parameters: numbers that parsing uses.
        training_parameters: numbers that only training uses.
        unmoved: names of parameters that no training step changes.
        forward_flops, training_flops: of one segment.
        peak_bytes: memory of a training step beyond what there was before the parser was built.
        forward_s, training_s: of one batch, seconds.
        segments: of one batch.
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
        """How many times longer a training step takes than its matrix products at the limit."""
        return self.training_s * self.limit / (self.training_flops * self.segments)


def profile(recipes: Sequence[str], conditions: Conditions) -> tuple[str, list[tuple[str, str]]]:
    """Measure recipes, one after the other.

    Returns:
        A Markdown table, and name and reason of each recipe that could not be measured.

    Raises:
        UserError: a recipe is bad; nothing has been measured then.
    """
    for name in recipes:
        load_recipe(name, conditions.changes)
    costs, failures = [], []
    for name in track(recipes, "profile", total=len(recipes), unit="recipe"):
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as process:
            try:
                costs.append(process.submit(measure, name, conditions).result())
            except UserError as error:
                failures.append((name, str(error)))
    return as_markdown(costs, conditions), failures


def measure(name: str, conditions: Conditions) -> Cost:
    """Measure one recipe in this process.

    Raises:
        UserError: the recipe is bad, or needs data that it cannot be given.
    """
    recipe = load_recipe(name, conditions.changes)
    if not conditions.denoise:
        recipe = recipe.plain()
    with tempfile.TemporaryDirectory() as folder:
        store = _random_store(Path(folder) / "store", _spec(recipe, conditions), conditions.batch_size)
        torch.manual_seed(0)
        run = Run.create(
            Path(folder) / "run", recipe.model_copy(update={"pseudo_labels": None}), 0, store, task_spec(store)
        )
        prepared = prepare(run, store, conditions.device)
        if recipe.pseudo_labels is not None:
            prepared = prepared.with_segments(_random_labels(store))
        memory = Memory()
        trainer = Trainer(run, store, conditions.device, prepared=prepared)
        return _measured(name, trainer, conditions, memory)


def as_markdown(costs: Sequence[Cost], conditions: Conditions) -> str:
    """Return the costs as a table."""
    device = torch.cuda.get_device_name() if conditions.device != "cpu" and torch.cuda.is_available() else "CPU"
    lines = [
        f"Batches of {conditions.batch_size} videos; {device}, {torch.get_num_threads()} threads. A parameter in "
        "brackets is used in training only. MFLOP and rates are of one segment; memory is that of a training step; "
        "limit: time of a training step over that of its matrix products alone at the machine's best rate.",
        "",
        "| recipe | parameters | forward MFLOP | training MFLOP | memory, MiB | step, ms | segments/s | "
        "parsing, segments/s | limit |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for c in costs:
        extra = f" (+{c.training_parameters:,})" if c.training_parameters else ""
        lines.append(
            f"| {c.name} | {c.parameters:,}{extra} | {c.forward_flops / 1e6:.1f} | {c.training_flops / 1e6:.1f} "
            f"| {c.peak_bytes / _MIB:.0f} | {c.training_s * 1e3:.0f} | {c.segments / c.training_s:,.0f} "
            f"| {c.segments / c.forward_s:,.0f} | {c.over_limit:.1f}x |"
        )
    lines += [f"\n{c.name}: no training step changes {', '.join(c.unmoved)}" for c in costs if c.unmoved]
    return "\n".join(lines) + "\n"


def _measured(name: str, trainer: Trainer, conditions: Conditions, memory: Memory) -> Cost:
    batch = trainer.table.batch(trainer.train_indices)
    # In the last epoch, when every loss counts.
    step = Step(trainer.recipe.training.epochs - 1, 0, 1)
    device = trainer.table.device

    def train() -> None:
        trainer.model.train()
        list(trainer.step(batch, step))

    @torch.no_grad()
    def parse() -> None:
        trainer.recipe.decoding.reading(trainer.model.eval())(batch.features)

    before = {n: p.detach().clone() for n, p in trainer.parser.named_parameters()}
    with memory.watched(device):
        train()
    train()
    moved = {n for n, p in trainer.parser.named_parameters() if not torch.equal(p, before[n])}
    limit = matrix_peak(_DTYPES[trainer.recipe.training.precision], device)
    training_s, forward_s = (statistics.median(timed(job, device, conditions.steps)) for job in (train, parse))
    sizes = {n: p.numel() for n, p in trainer.parser.named_parameters()}
    segments = batch.features.shape[0] * batch.features.shape[1]
    return Cost(
        name=name,
        parameters=sum(size for n, size in sizes.items() if not n.startswith("guides.")),
        training_parameters=sum(size for n, size in sizes.items() if n.startswith("guides.")),
        unmoved=tuple(n for n in sizes if n not in moved),
        forward_flops=flops(parse) / segments,
        training_flops=flops(train) / segments,
        peak_bytes=memory.peak,
        forward_s=forward_s,
        training_s=training_s,
        segments=segments,
        limit=max(limit, matrix_peak(_DTYPES[trainer.recipe.training.precision], device)),
    )


def _spec(recipe: Recipe, conditions: Conditions) -> TaskSpec:
    """Return the shapes of a store, or those published of the streams that the recipe reads."""
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
    """Write ``videos`` for training and a few to validate, of random features, labels and truth."""
    random = np.random.default_rng(0)
    vocabulary = Vocabulary(spec.classes)
    streams = {n: StreamInfo(dimension=d, dtype="float32", extractor="random") for n, d in spec.streams.items()}
    with StoreWriter.create(
        path, vocabulary=vocabulary, streams=streams, segment_seconds=spec.segment_seconds, truth=True
    ) as writer:
        for split, count in (("train", videos), ("val", 2)):
            rows = count * spec.segments
            truth = {m: random.random((rows, len(vocabulary))) < 0.05 for m in ("audio", "visual")}
            either = (truth["audio"] | truth["visual"]).reshape(count, spec.segments, -1)
            writer.append(
                Block(
                    videos=[f"{split}{i}" for i in range(count)],
                    splits=[split] * count,
                    lengths=[spec.segments] * count,
                    durations=[spec.segments * spec.segment_seconds] * count,
                    sources=["random"] * count,
                    weak=np.logical_or.reduce(either, axis=1),
                    streams={n: random.standard_normal((rows, d), np.float32) for n, d in spec.streams.items()},
                    truth=truth,
                )
            )
    return FeatureStore.open(path)


def _random_labels(store: FeatureStore) -> SegmentLabels:
    """Return segment labels of the training videos: their truth."""
    train = store.select("train")
    audio, visual, _ = store.dense_truth(train)
    return from_padded(store, train, torch.from_numpy(audio), torch.from_numpy(visual))
