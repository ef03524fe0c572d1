"""How many decisions of a reviewer mend the labels? Active order against simple ones, on simulated LLP.

    python -m benchmarks.review_order FOLDER [--out STEM] [--train N] [--seeds N] [--methods NAME ...]

For every seed LLP is simulated in FOLDER, and every method (a denoiser, or ``weak`` for the labels as they are) says
how probable each label is in each modality. A reviewer who knows the truth decides about all items, in each of several
orders; after every 25 decisions the wrong labels are counted: those that are kept and wrong, and those that are dropped
and right. The undecided ones follow the decisions (``propagated``) or stay as the method left them (``own``).
``STEM.csv`` has mean and deviation over the seeds of each curve, and ``STEM.svg`` draws them; the decisions that reach
shares of the oracle's gain, which leaves no wrong label, are printed. What is in FOLDER already is kept, so a stopped
call goes on.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avparse.app.charts.style import COLOURS, Figure, about_data, chart_style, save
from avparse.app.denoising import denoise
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import BoolArray, Float64Array
from avparse.foundation.files import write_text
from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import ReviewItem, label_items
from avparse.labels.reviewing.order import ActiveOrder
from avparse.labels.reviewing.state import ReviewState, kept
from avparse.labels.table import RefinedLabels

WEAK = "weak"
METHODS = (WEAK, "jomold", "class-prior", "validation-classifier")
STEP = 25  # decisions between two counts
EACH, FEW = 200, 5  # the order follows each of the first decisions, and later every few, which costs less
SHARES = (0.25, 0.5, 0.75, 0.9)
SETTINGS = (
    "training.precision=float32",
    "parser.stem.width=128",
    "parser.encoder.feedforward=128",
    "training.batch_size=16",
    "training.epochs=10",
    "training.optimizer.rate=0.001",
    "training.select=segment_type",
)


@dataclass(frozen=True, eq=False)
class Material:
    """What a reviewer gets, and what only the simulator knows.

    Attributes:
        items: items of one method.
        right: whether each item is right, ``[N]``.
    """

    items: tuple[ReviewItem, ...]
    right: BoolArray

    def decision(self, position: int) -> Decision:
        """Return the right decision about an item."""
        return Decision(self.items[position].key, Verdict.KEEP if self.right[position] else Verdict.REMOVE)


def active(material: Material, seed: int) -> Iterator[int]:
    """Yield the positions of the items in the active order."""
    order = ActiveOrder(material.items)
    yield from _followed(material, order.values, order.decided)


def recalibrated(material: Material, seed: int) -> Iterator[int]:
    """Yield the least certain first, by the probability after the decisions so far, whatever others share."""
    state = ReviewState(material.items)

    def uncertain() -> Float64Array:
        return np.where(state.decided, -1.0, 0.5 - np.abs(state.probability() - 0.5))

    yield from _followed(material, uncertain, state.add)


def _followed(
    material: Material, values: Callable[[], Float64Array], decide: Callable[[Decision], None]
) -> Iterator[int]:
    """Yield items by value; values are computed after each of the first decisions, later after every few."""
    done, count = 0, len(material.items)
    while done < count:
        size = 1 if done < EACH else FEW
        for position in np.argsort(-values(), kind="stable")[: min(size, count - done)].tolist():
            yield position
            decide(material.decision(position))
            done += 1


def _probability(material: Material) -> Float64Array:
    return np.array([item.probability for item in material.items])


ORDERS: dict[str, Callable[[Material, int], Iterator[int]]] = {
    "active": active,
    "least certain first, as recalibrated": recalibrated,
    "least certain first": lambda material, seed: _stably(np.abs(_probability(material) - 0.5), seed),
    "most likely wrong first": lambda material, seed: _stably(_probability(material), seed),
    "random": lambda material, seed: _stably(np.zeros(len(material.items)), seed),
}


def _stably(rank: Float64Array, seed: int) -> Iterator[int]:
    """Yield positions by rank, equals in random order."""
    chance = np.random.default_rng(seed).permutation(len(rank))
    return iter(np.lexsort((chance, rank)).tolist())


def store_of(folder: Path, train: int, seed: int) -> FeatureStore:
    """Return the simulated store of a seed, which is made where it is missing."""
    path = folder / f"store{seed}"
    if not path.exists():
        simulate(path, seed=seed, train=train)
    return FeatureStore.open(path)


def labels_of(folder: Path, store: FeatureStore, method: str, seed: int) -> RefinedLabels:
    """Return the labels of a method, which are made where they are missing."""
    if method == WEAK:
        return weak_labels(store)
    path = folder / f"{method}{seed}.parquet"
    if not path.exists():
        return denoise(store, method, path, recipe="han", changes=SETTINGS, seed=seed)
    return RefinedLabels.load(path, store.vocabulary)


def weak_labels(store: FeatureStore) -> RefinedLabels:
    """Return the weak labels of the training split, of which nothing is known: each is right with probability 0.5."""
    train = store.select("train")
    given = store.weak[train]
    target, half, empty = given.astype(np.float32), np.full(given.shape, 0.5, np.float32), np.full(given.shape, "")
    videos = tuple(store.videos[n] for n in train)
    return RefinedLabels(videos, store.vocabulary.names, given, target, target, half, half, empty, empty)


def material_of(store: FeatureStore, labels: RefinedLabels) -> Material:
    """Return the items of some labels with their truth."""
    items = tuple(label_items(labels))
    audio, visual, _ = store.dense_truth(labels.rows(store.videos, store.weak))
    truth = np.stack((audio.any(axis=1), visual.any(axis=1)))
    row, column = ({name: n for n, name in enumerate(names)} for names in (labels.videos, labels.classes))
    at = [(MODALITIES.index(item.modality), row[item.video], column[item.class_name]) for item in items]
    right: BoolArray = truth[tuple(np.array(at).T)]
    return Material(items, right)


def wrong_after(material: Material, sequence: Sequence[int]) -> dict[str, list[int]]:
    """Return the numbers of wrong labels before the first and after every further STEP decisions."""
    state, found = ReviewState(material.items), dict[str, list[int]](propagated=[], own=[])
    for first in range(0, len(sequence) + STEP, STEP):
        for name, counts in found.items():
            counts.append(int((kept(state, name == "propagated") != material.right).sum()))
        for position in sequence[first : first + STEP]:
            state.add(material.decision(position))
    return found


def replayed(path: Path, order: str, material: Material, seed: int) -> tuple[list[int], dict[str, list[int]]]:
    """Return an order and its counts of :func:`wrong_after`, which are made where the file is missing."""
    if not path.exists():
        sequence = list(ORDERS[order](material, seed))
        write_text(path, json.dumps([sequence, wrong_after(material, sequence)]))
    sequence, counts = json.loads(path.read_text())
    return sequence, counts


def first_reach(counts: Sequence[float], share: float) -> int:
    """Return after how many decisions the wrong labels are down by a share of those at the start."""
    return STEP * next(n for n, count in enumerate(counts) if count <= (1 - share) * counts[0])


@dataclass(frozen=True, eq=False)
class Curve:
    """Wrong labels after each STEP decisions, in percent of the items, for every seed ``[S, n]``."""

    method: str
    order: str
    way: str
    wrong: Float64Array

    def reach(self, share: float) -> tuple[float, float]:
        """Return mean and deviation over the seeds of the decisions that reach a share of the oracle's gain."""
        found = [first_reach(row.tolist(), share) for row in self.wrong]
        return float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else 0.0


def curves_of(folder: Path, method: str, train: int, seeds: int) -> list[Curve]:
    """Return the curves of a method: of every order, with and without propagation."""
    found: dict[tuple[str, str], list[Float64Array]] = {}
    for seed in range(seeds):
        store = store_of(folder, train, seed)
        material = material_of(store, labels_of(folder, store, method, seed))
        for number, order in enumerate(ORDERS):
            _, counts = replayed(folder / f"{method}-{number}-{seed}.json", order, material, seed)
            for way, wrong in counts.items():
                found.setdefault((order, way), []).append(100 * np.array(wrong) / len(material.items))
    shortest = {key: min(map(len, rows)) for key, rows in found.items()}
    return [Curve(method, *key, np.stack([row[: shortest[key]] for row in rows])) for key, rows in found.items()]


def as_csv(curves: Sequence[Curve]) -> str:
    """Return one row for each method, order, way and number of decisions."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["method", "order", "undecided labels", "decisions", "wrong labels, percent", "deviation", "seeds"])
    for curve in curves:
        deviation = curve.wrong.std(axis=0, ddof=1) if len(curve.wrong) > 1 else np.zeros(curve.wrong.shape[1])
        for n, (mean, spread) in enumerate(zip(curve.wrong.mean(axis=0), deviation, strict=True)):
            if n % 4 == 0 or n * STEP < 300:
                cells = (n * STEP, f"{mean:.2f}", f"{spread:.2f}", len(curve.wrong))
                rows.writerow([curve.method, curve.order, curve.way, *cells])
    return text.getvalue()


def draw(curves: Sequence[Curve], title: str) -> Figure:
    """Return a chart with a panel for each method: all orders with propagation, and the random one without."""
    methods = list(dict.fromkeys(curve.method for curve in curves))
    with chart_style():
        sheet = Figure(figsize=(4.4 * len(methods), 4.4), layout="constrained")
        lines: dict[str, Any] = {}
        for panel, method in zip(sheet.subplots(1, len(methods), squeeze=False).flat, methods, strict=True):
            for curve in (c for c in curves if c.method == method):
                plain = curve.way == "own"
                if plain and curve.order != "random":
                    continue
                label = "random, nothing propagated" if plain else curve.order
                colour = "#777777" if plain else COLOURS[list(ORDERS).index(curve.order)]
                at = STEP * np.arange(curve.wrong.shape[1])
                mean = curve.wrong.mean(axis=0)
                (lines[label],) = panel.plot(at, mean, ":" if plain else "-", color=colour, linewidth=1.6)
            panel.set_title(method, loc="left", fontsize="medium")
            panel.set_xlabel("decisions")
            panel.set_ylim(bottom=0)
        sheet.axes[0].set_ylabel("wrong labels (%)")
        sheet.suptitle(title)
        sheet.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=3)
    return sheet


def main() -> None:
    """Write the files and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--train", type=int, default=1250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=METHODS, help="NAME, or NAME:SEEDS for another number of them")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    curves = []
    for name in arguments.methods:
        method, _, own = name.partition(":")
        curves += curves_of(arguments.folder, method, arguments.train, int(own or arguments.seeds))
    heads = " | ".join(f"{100 * share:g} %" for share in SHARES)
    print(f"| method | order | undecided labels | seeds | at first, % | {heads} |")
    print("|---|---|---|--:|--:|" + "--:|" * len(SHARES))
    for c in curves:
        reached = " | ".join(f"{mean:.0f} ± {spread:.0f}" for mean, spread in map(c.reach, SHARES))
        print(f"| {c.method} | {c.order} | {c.way} | {len(c.wrong)} | {c.wrong[:, 0].mean():.1f} | {reached} |")
    if arguments.out:
        write_text(arguments.out.with_suffix(".csv"), as_csv(curves))
        description = store_of(arguments.folder, arguments.train, 0).manifest.description
        title = about_data("Wrong labels left during a review", [description])
        png, _ = save(draw(curves, title), arguments.out.with_suffix(""))
        png.unlink()


if __name__ == "__main__":
    main()
