"""What does a review bring the parser? HAN on labels after more and more decisions in the active order, simulated.

    python -m benchmarks.review_training FOLDER [--train N] [--method NAME] [--seed N]

FOLDER is that of ``benchmarks.review_order``. The parser learns from the labels of a method before the first decision,
after those that reach 25, 50 and 90 % of the oracle's gain, and after the last, when no label is wrong. Undecided
labels follow the decisions. A stopped call goes on.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from avparse.app.scoring import evaluate
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import METRICS
from avparse.labels.reviewing.state import ReviewState, kept
from avparse.labels.table import RefinedLabels
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from benchmarks.review_order import (
    SETTINGS,
    WEAK,
    Material,
    first_reach,
    labels_of,
    material_of,
    replayed,
    store_of,
)

SHARES = (0.25, 0.5, 0.9)
BATCHES = "training.batch_size=32"


def decided_labels(labels: RefinedLabels, material: Material, state: ReviewState) -> RefinedLabels:
    """Return labels as decisions leave them, with what these suggest of undecided ones."""
    row, column = ({name: n for n, name in enumerate(names)} for names in (labels.videos, labels.classes))
    targets = np.zeros((2, *labels.given.shape), dtype=np.float32)
    for item, keep in zip(material.items, kept(state), strict=True):
        targets[MODALITIES.index(item.modality), row[item.video], column[item.class_name]] = keep
    return replace(labels, audio=targets[0], visual=targets[1])


def trained(folder: Path, method: str, train_videos: int, seed: int) -> None:
    """Print segment and event Type on the test split of HAN, trained at several points of the active order."""
    store = store_of(folder, train_videos, seed)
    labels = labels_of(folder, store, method, seed)
    material = material_of(store, labels)
    sequence, counts = replayed(folder / f"{method}-0-{seed}.json", "active", material, seed)
    reached = {f"{100 * share:g} % of the gain": first_reach(counts["propagated"], share) for share in SHARES}
    print("| labels | decisions | wrong labels | segment Type | event Type |\n|---|--:|--:|--:|--:|", flush=True)
    for name, count in ({"before": 0} | reached | {"all decided": len(sequence)}).items():
        state = ReviewState(material.items, [material.decision(n) for n in sequence[:count]])
        wrong = 100 * float((kept(state) != material.right).mean())
        path, recipe = folder / f"{method}{seed}-run-{count}", load_recipe("han", [*SETTINGS, BATCHES])
        run = train(
            recipe, store, path, labels=decided_labels(labels, material, state), seed=seed, resume=path.exists()
        )
        scores = 100 * next(iter(evaluate(run, store).scores.values())).per_video.mean(axis=0)
        at = [METRICS.index(metric) for metric in ("segment_type", "event_type")]
        print(f"| {name} | {count} | {wrong:.1f} % | {scores[at[0]]:.1f} | {scores[at[1]]:.1f} |", flush=True)


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1250)
    parser.add_argument("--method", default=WEAK)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    trained(arguments.folder, arguments.method, arguments.train, arguments.seed)


if __name__ == "__main__":
    main()
