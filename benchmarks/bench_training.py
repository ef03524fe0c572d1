"""A HAN epoch over 10,000 simulated videos against the matrix-product peak of the same machine in the same run.

    python -m benchmarks.bench_training [--videos N] [--store FOLDER]

Prints a Markdown row for each batch size and precision: seconds an epoch, achieved GFLOP/s (matrix products counted by
PyTorch's FLOP counter over one real step), the peak (best of several 2048-wide products, measured right before and
right after the epoch), and the ratio of peak to achieved. The optimiser, dropout, norms and the gathering of batches
are in the time but not in the count.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import torch
from torch.utils.flop_counter import FlopCounterMode

from avparse.app.profile.measure import matrix_peak
from avparse.data.batching import batches, epoch_order
from avparse.data.features import Step
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.trainer import Trainer

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def epoch(trainer: Trainer) -> tuple[float, float]:
    """Return seconds and GFLOP of one epoch, after a short warm-up."""
    training = trainer.recipe.training
    order = trainer.train_indices[epoch_order(len(trainer.train_indices), 1, 0)]
    pieces = list(batches(order, training.batch_size))
    trainer.model.train()
    with FlopCounterMode(display=False) as counter:
        list(trainer.step(trainer.table.batch(pieces[0]), Step(0, 0, len(pieces))))
    for piece in pieces[:3]:
        list(trainer.step(trainer.table.batch(piece), Step(0, 0, len(pieces))))
    begun = time.perf_counter()
    for piece in pieces:
        list(trainer.step(trainer.table.batch(piece), Step(0, 0, len(pieces))))
    seconds = time.perf_counter() - begun
    return seconds, counter.get_total_flops() * len(order) / len(pieces[0]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--store", type=Path, help="a simulated store to use instead of making one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store or Path(folder) / "store"
        if arguments.store is None:
            simulate(path, seed=0, train=arguments.videos, val=64, test=64)
        store = FeatureStore.open(path)
        print(f"{torch.get_num_threads()} threads, {len(store.select('train'))} simulated training videos\n")
        print("| precision | batch | s/epoch | GFLOP/s | peak GFLOP/s | peak/achieved |\n|---|--:|--:|--:|--:|--:|")
        for precision, dtype in _PRECISIONS.items():
            for size in (16, 128):
                recipe = load_recipe("han", [f"training.batch_size={size}", f"training.precision={precision}"])
                run = Run.create(Path(folder) / f"{precision}-{size}", recipe, store, 1)
                trainer = Trainer(run, store)
                before = matrix_peak(dtype) / 1e9
                seconds, work = epoch(trainer)
                limit = max(before, matrix_peak(dtype) / 1e9)
                print(
                    f"| {precision} | {size} | {seconds:.1f} | {work / seconds:.0f} | {limit:.0f} "
                    f"| {limit * seconds / work:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
