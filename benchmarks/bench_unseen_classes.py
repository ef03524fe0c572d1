"""How far a trained LEAP parser knows classes that were held out of its training, in the simulator.

    python -m benchmarks.bench_unseen_classes [--videos N] [--epochs N] [--seeds N] [--unseen K] [--easier DB]

For every seed a world is simulated and K classes are drawn. Their labels are taken out of training and validation (the
events themselves stay in the videos, as in any real corpus), LEAP is trained on the rest, and the test split is parsed
with the full list of classes.

The names of a simulated world mean nothing, so meaning has to be given to them: the vectors of the class names are the
prototypes of the world (``avparse simulate --label-vectors``), the best that any text could tell. Two controls: vectors
that say nothing (``orthogonal``), and the same vectors with nothing held out.

F is at segment level in percent, mean over classes and both modalities, of the parse alone and of the parse given the
video's weak label (which then also names the classes that were held out). AUC asks no threshold: how often a segment
with the class has a higher probability than one without; 0.5 is chance. Most classes of the simulator have a look-alike
(half of their energy is common); those held out are told apart by whether theirs was kept.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from avparse.app.run_teacher import run_teacher
from avparse.data.batching import FeatureTable
from avparse.data.simulation.label_vectors import label_vectors
from avparse.data.simulation.simulate import simulate
from avparse.data.simulation.world import CONFUSABLE, DEFAULT_KNOBS, Knobs, World
from avparse.data.store import FeatureStore
from avparse.data.store.block import Block
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.evaluation.per_class import score_classes
from avparse.evaluation.prediction import predict
from avparse.foundation.arrays import BoolArray, Float64Array
from avparse.models.output import ParserOutput
from avparse.models.parsers.classes import with_classes
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.train import train

_KEPT, _ALIKE, _UNLIKE = "kept", "held out, look-alike kept", "held out, no look-alike kept"
_COLUMNS = ("F", "F, given the weak label", "AUC")


def without_classes(store: FeatureStore, path: Path, seen: Sequence[str]) -> FeatureStore:
    """Copy the training and validation videos that have a label of ``seen``, with no trace of the other labels."""
    columns = [store.vocabulary.index(name) for name in seen]
    weak = store.weak[:, columns]
    with StoreWriter.create(
        path,
        vocabulary=Vocabulary(tuple(seen)),
        streams=store.streams,
        segment_seconds=store.segment_seconds,
        truth=True,
        description=store.manifest.description,
    ) as writer:
        for split in ("train", "val"):
            videos = [int(n) for n in store.select(split) if weak[n].any()]
            rows = np.concatenate([store.first_row[n] + np.arange(store.lengths[n]) for n in videos])
            truths = {m: truth for m in MODALITIES if (truth := store.truth(m)) is not None}
            writer.append(
                Block(
                    videos=[store.videos[n] for n in videos],
                    splits=[split] * len(videos),
                    lengths=store.lengths[videos].tolist(),
                    durations=store.durations[videos].tolist(),
                    origins=["simulated"] * len(videos),
                    weak=weak[videos],
                    streams={name: store.stream(name)[rows] for name in store.streams},
                    truth={m: truth[rows][:, columns] for m, truth in truths.items()},
                )
            )
    return FeatureStore.open(path)


def recipe_for(source: str, vectors: Path, dimension: int, epochs: int, width: int) -> Recipe:
    """Return LEAP on HAN, smaller and quicker, that reads sound and the smaller visual stream."""
    labels = {
        "orthogonal": f"{{name: orthogonal, dimension: {dimension}}}",
        "prototypes": f"{{name: tensor, path: {vectors}, dimension: {dimension}}}",
    }
    side = "{teacher: simulated, score: logit, threshold: 20}"
    return load_recipe(
        "leap",
        [
            f"pseudo_labels={{audio: {side}, visual: {side}}}",
            f"parser.stem={{name: linear, width: {width}, audio: [audio], visual: [clips]}}",
            f"parser.encoder.feedforward={width}",
            f"parser.decoder.feedforward={width}",
            f"parser.decoder.labels={labels[source]}",
            f"training={{epochs: {epochs}, batch_size: 16, optimizer: {{rate: 0.001}}, clip_norm: 1.0, "
            f"schedule: {{name: step, every: {max(1, epochs // 2)}, factor: 0.2}}, precision: bfloat16}}",
        ],
    )


def auc(scores: Float64Array, positive: BoolArray) -> float:
    """Return the probability that a positive has a higher score than a negative, ties counted half."""
    _, value, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[value]
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return float("nan")
    return float((rank[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def by_class(output: ParserOutput, store: FeatureStore, recipe: Recipe) -> Float64Array:
    """Return the metrics of :data:`_COLUMNS` of each class, mean over modalities, ``[3, C]``."""
    test = store.select("test")
    truth = store.dense_truth(test)[:2]
    metrics = []
    for allowed in (None, torch.from_numpy(store.weak[test])):
        audio, visual = (side.numpy() for side in recipe.decoding.decide(output, allowed))
        found = score_classes(audio, visual, *truth, store.vocabulary).f[0, :2]  # segment level; audio, visual
        metrics.append(100 * np.nan_to_num(found).mean(axis=0))
    segments = (output.audio_segments.double().numpy(), output.visual_segments.double().numpy())
    areas = [
        [auc(scores[..., c].ravel(), true[..., c].ravel()) for c in range(len(store.vocabulary))]
        for scores, true in zip(segments, truth, strict=True)
    ]
    return np.stack([*metrics, np.nanmean(areas, axis=0)])


def groups_of(classes: Sequence[str], unseen: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the classes that were kept, and of those held out, by their look-alike."""
    alike = {a: b for pair in CONFUSABLE for a, b in (pair, pair[::-1])}
    groups: dict[str, list[int]] = {_KEPT: [], _ALIKE: [], _UNLIKE: []}
    for position, name in enumerate(classes):
        other = alike.get(name)
        lone = other is None or other in unseen
        groups[_KEPT if name not in unseen else _UNLIKE if lone else _ALIKE].append(position)
    return groups


def measure(
    folder: Path, seed: int, arguments: argparse.Namespace, knobs: Knobs
) -> dict[tuple[str, str], Float64Array]:
    """Return for each system and group of classes the mean metrics of one seed."""
    full_path = folder / "full"
    simulate(full_path, seed=seed, train=arguments.videos, val=100, test=400, knobs=knobs)
    full = FeatureStore.open(full_path)
    classes = full.vocabulary.names
    unseen = [classes[c] for c in np.random.default_rng(seed).permutation(len(classes))[: arguments.unseen]]
    seen = without_classes(full, folder / "seen", [name for name in classes if name not in unseen])
    file = folder / "vectors.npz"
    vectors = label_vectors(World.draw(classes, seed, knobs))
    np.savez(file, vectors=vectors, names=np.array(classes))
    for store in (full, seen):
        run_teacher(store, "simulated", settings={"seed": seed, "hallucinate_visual": 0.65})
    groups, found = groups_of(classes, unseen), {}
    for system, source, store in (
        ("prototypes", "prototypes", seen),
        ("orthogonal", "orthogonal", seen),
        ("prototypes, nothing held out", "prototypes", full),
    ):
        recipe = recipe_for(source, file, vectors.shape[1], arguments.epochs, arguments.width)
        run = train(recipe, store, folder / f"run-{system}", seed=seed)
        parser = with_classes(run.parser(), classes)
        metrics = by_class(predict(parser, FeatureTable(full), full.select("test")), full, recipe)
        for group, positions in groups.items():
            if positions:
                found[system, group] = metrics[:, positions].mean(axis=1)
    print(f"seed {seed}: held out {', '.join(unseen)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=1000, help="training videos")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--unseen", type=int, default=6, help="classes held out")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--easier", type=float, default=8.0, help="dB added to the simulator's signal to noise")
    arguments = parser.parse_args()
    snr = {name: getattr(DEFAULT_KNOBS, name) + arguments.easier for name in ("snr_audio", "snr_visual")}
    knobs = DEFAULT_KNOBS.model_copy(update=snr)
    begun, found = time.perf_counter(), []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(Path(folder), seed, arguments, knobs))
    print(
        f"\nSimulated videos, {arguments.easier:g} dB easier than the simulator's own; {arguments.videos} for "
        f"training, {arguments.epochs} epochs; {arguments.unseen} classes held out, drawn anew for each of "
        f"{arguments.seeds} seeds; {time.perf_counter() - begun:.0f} s. Mean ± standard deviation over seeds.\n"
    )
    print(f"| label vectors | classes | {' | '.join(_COLUMNS)} |\n|---|---|" + "--:|" * len(_COLUMNS))
    for key in dict.fromkeys(key for each in found for key in each):
        values = np.array([each[key] for each in found if key in each])
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(len(_COLUMNS), np.nan)
        cells = [
            f"{mean:.{digits}f} ± " + (f"{deviation:.{digits}f}" if np.isfinite(deviation) else "–")
            for mean, deviation, digits in zip(values.mean(axis=0), spread, (1, 1, 2), strict=True)
        ]
        print(f"| {' | '.join([*key, *cells])} |")


if __name__ == "__main__":
    main()
