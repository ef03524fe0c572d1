"""What pseudo labels and LEAP cost: a step of LEAP against one of MMIL, PLD against an epoch, labels made anew.

    python -m benchmarks.bench_leap [--videos N] [--labelled N] [--repeats N]

Three tables. A step of training on a batch of 64, with the same encoder, labels and losses (the similarity loss as a
third row), as a ratio to MMIL. PLD (a parse of the training split, and the flips) as a share of an epoch of HAN +
VAPLAN in the same run, and of all epochs of that recipe. Labels of N videos made anew from what teachers of the size of
CLIP ViT-L/14 and CLAP said, as a ratio to reading their files once. Times are the least of several repeats, which take
turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import numpy as np
import torch

from avparse.app.run_teacher import run_teacher
from avparse.data.batching import batches
from avparse.data.features import Step
from avparse.data.prompt_styles import subsets_of
from avparse.data.scores import FOLDER, Subsets, TeacherInfo, TeacherScores
from avparse.data.simulation.simulate import simulate
from avparse.data.simulation.statistics import LabelStatistics
from avparse.data.simulation.truth import draw_truth
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.evaluation.prediction import predict
from avparse.labels.pseudo import PseudoLabels
from avparse.training.denoisers.pld import FlipRule, repair
from avparse.training.preparation import prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.trainer import Trainer

_BATCH = 64
_TEACHER = "pseudo_labels={audio: {teacher: simulated, threshold: 0.2}, visual: {teacher: simulated, threshold: 0.2}}"
_PLAIN = ", ".join(
    [
        *(f"{{name: video_bce, of: {of}}}" for of in ("audio", "visual", "video")),
        *(f"{{name: segment_bce, of: {of}}}" for of in MODALITIES),
    ]
)
_SYSTEMS = {
    "MMIL": ["parser.decoder={name: mmil}", f"losses=[{_PLAIN}]"],
    "LEAP": [f"losses=[{_PLAIN}]"],
    "LEAP, similarity loss": [],
}


def least(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the least seconds of each job; they take turns, so that what else the machine does hits all alike."""
    times: dict[str, float] = {}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            if repeat:  # the first round only warms up
                times[name] = min(times.get(name, np.inf), time.perf_counter() - begun)
    return times


def trainer_of(recipe: str, changes: list[str], store: FeatureStore, folder: Path) -> Trainer:
    settings = load_recipe(recipe, [_TEACHER, f"training.batch_size={_BATCH}", *changes])
    run = Run.create(folder, settings.plain(), store, 1)
    trainer = Trainer(run, store, prepared=prepare(run, store))
    trainer.model.train()
    return trainer


def maker_of(recipe: Recipe) -> PseudoLabels:
    assert isinstance(recipe.pseudo_labels, PseudoLabels.Config)
    return PseudoLabels(recipe.pseudo_labels)


def step_of(trainer: Trainer) -> Callable[[], object]:
    batch = trainer.table.batch(trainer.train_indices[:_BATCH])
    return lambda: list(trainer.step(batch, Step(0, 0, 1)))


def steps(store: FeatureStore, folder: Path, repeats: int) -> None:
    print(f"| encoder | decoder | s/step of {_BATCH} | ratio to MMIL |\n|---|---|--:|--:|")
    for encoder, recipe in (("HAN", "leap"), ("MM-Pyramid", "leap-mm-pyramid")):
        jobs = {
            name: step_of(trainer_of(recipe, changes, store, folder / f"{recipe}-{name}"))
            for name, changes in _SYSTEMS.items()
        }
        times = least(jobs, repeats)
        for name, seconds in times.items():
            print(f"| {encoder} | {name} | {seconds:.3f} | {seconds / times['MMIL']:.2f} |", flush=True)


def denoising(store: FeatureStore, folder: Path, repeats: int) -> None:
    trainer = trainer_of("vaplan", ["parser.decoder={name: mmil}"], store, folder / "vaplan")
    pieces = list(batches(trainer.train_indices, _BATCH))
    labels = maker_of(trainer.recipe)(store, trainer.train_indices)
    output = predict(trainer.parser.eval(), trainer.table, trainer.train_indices)

    def epoch() -> None:
        trainer.model.train()
        for piece in pieces:
            list(trainer.step(trainer.table.batch(piece), Step(0, 0, len(pieces))))

    def parse() -> None:
        predict(trainer.parser.eval(), trainer.table, trainer.train_indices)

    def flip() -> None:
        repair(labels, output, store, trainer.train_indices, FlipRule())

    times = least({"epoch": epoch, "PLD: parse": parse, "PLD: flips": flip}, repeats)
    epochs = trainer.recipe.training.epochs
    print(f"\n| job, {len(trainer.train_indices)} videos | s | share of an epoch | of all {epochs} epochs |")
    print("|---|--:|--:|--:|")
    for name, seconds in times.items():
        share = seconds / times["epoch"]
        print(f"| {name} | {seconds:.3f} | {share:.1%} | {share / epochs:.2%} |", flush=True)


def labelled_store(path: Path, videos: int, segments: int = 10) -> FeatureStore:
    """Make a store of weak labels as LLP's, with hardly any features, and ask two teachers who answer at random."""
    statistics = LabelStatistics.load()
    weak = draw_truth(statistics, "train", videos, segments, seed=0).weak
    generator = np.random.default_rng(0)
    with StoreWriter.create(
        path,
        vocabulary=Vocabulary(statistics.classes),
        streams={"none": StreamInfo(dimension=1, dtype="float32", extractor="none")},
        segment_seconds=1.0,
        truth=False,
    ) as writer:
        writer.append(
            Block(
                videos=[f"video{n:05d}" for n in range(videos)],
                splits=["train"] * videos,
                lengths=[segments] * videos,
                durations=[float(segments)] * videos,
                origins=[""] * videos,
                weak=weak,
                streams={"none": np.zeros((videos * segments, 1), np.float32)},
            )
        )
    store = FeatureStore.open(path)
    subsets = subsets_of(np.flatnonzero(labels).tolist() for labels in np.unique(weak, axis=0))
    members = np.zeros((len(subsets), len(statistics.classes)), dtype=bool)
    for row, subset in zip(members, subsets, strict=True):
        row[list(subset)] = True

    def unit(rows: int, dimension: int) -> np.ndarray:
        x = generator.standard_normal((rows, dimension), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return x

    for modality, dimension in zip(MODALITIES, (512, 768), strict=True):
        info = TeacherInfo(
            teacher="random",
            modality=modality,
            checkpoint="random numbers",
            logit_scale=100.0,
            segment_seconds=1.0,
            classes=statistics.classes,
            prompts=statistics.classes,
            subset_prompts=tuple(str(subset) for subset in subsets),
        )
        TeacherScores(
            info,
            tuple(store.videos),
            store.lengths,
            unit(videos * segments, dimension),
            unit(len(statistics.classes), dimension),
            Subsets(members, unit(len(subsets), dimension)),
        ).save(store)
    return store


def relabelling(store: FeatureStore, repeats: int) -> None:
    files = sorted((store.path / FOLDER).iterdir())
    train = store.select("train")
    jobs: dict[str, Callable[[], object]] = {"read the files": lambda: [len(file.read_bytes()) for file in files]}
    for recipe in ("valor", "vaplan", "rlld+valor", "lsld"):
        asked = [f"pseudo_labels.{modality}.teacher=random" for modality in MODALITIES]
        jobs[f"labels of {recipe}"] = partial(maker_of(load_recipe(recipe, asked)), store, train)
    times = least(jobs, repeats)
    size = sum(file.stat().st_size for file in files) >> 20
    print(f"\n| job, {len(store)} videos, {size} MiB of embeddings | s | ratio |\n|---|--:|--:|")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.2f} | {seconds / times['read the files']:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=1000, help="training videos of an epoch")
    parser.add_argument("--labelled", type=int, default=10_000, help="videos whose labels are made anew")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, simulated videos of 10 segments, float32\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "store", seed=0, train=arguments.videos, val=64, test=64)
        store = FeatureStore.open(folder / "store")
        run_teacher(store, "simulated")
        steps(store, folder, arguments.repeats)
        denoising(store, folder, arguments.repeats)
        relabelling(labelled_store(folder / "labelled", arguments.labelled), arguments.repeats)


if __name__ == "__main__":
    main()
