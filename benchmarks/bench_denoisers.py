"""What learning a label policy costs, in epochs of the parser alone, measured in turns in one run.

    python -m benchmarks.bench_denoisers [--videos N] [--repeats R]

An epoch of ``rlld-joint`` (parser, policy and its updates), an episode of ``rlld-paper`` (its steps, one validation and
one update), a pair of episodes of ``rlld`` and an epoch of the same parser on the labels as they are: the best of
several, taken in turns, so that what else the machine does hits all of them. An episode of 32 states on 10,000 training
videos is a third of an epoch of task steps; the number of states shrinks with ``--videos``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import torch

from avparse.data.batching import epoch_order
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.foundation.interrupt import StopRequest
from avparse.training.denoisers.rlld import RLLDDenoiser
from avparse.training.denoisers.rlld_learner import Learner
from avparse.training.preparation import prepare
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.trainer import Position, Trainer
from avparse.training.workspace import Workspace

PRECISION = "float32"


def epochs(recipe: str, store: FeatureStore, folder: Path, *changes: str) -> Callable[[], None]:
    """Return a function that trains one epoch, without validation."""
    settings = load_recipe(recipe, [f"training.precision={PRECISION}", *changes])
    run = Run.create(folder, settings, store, 1)
    trainer = Trainer(run, store, prepared=prepare(run, store))
    order = trainer.train_indices[epoch_order(len(trainer.train_indices), 1, 0)]

    def one() -> None:
        trainer.position = Position(epoch=trainer.position.epoch)
        trainer._epoch(order, StopRequest(), lambda steps: None)
        trainer.position = Position(epoch=trainer.position.epoch + 1)

    return one


def episodes(name: str, store: FeatureStore, folder: Path, steps: int) -> Callable[[], None]:
    """Return a function that does one episode, or one pair, of a recipe of RLLD, validation and update included."""
    recipe = load_recipe(name, [f"training.precision={PRECISION}", f"denoiser.steps={steps}"])
    folder.mkdir()
    assert isinstance(recipe.denoiser, RLLDDenoiser.Config)
    learner = Learner(recipe.denoiser, Workspace(recipe, store, folder, seed=1))
    play = learner._play_labels if recipe.denoiser.explores == "label" else learner._play_classes

    def one() -> None:
        play()
        learner.episode += 1

    return one


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / "store", seed=0, train=arguments.videos, val=649, test=1)
        store = FeatureStore.open(folder / "store")
        steps = max(1, round(32 * arguments.videos / 10_000))
        work = {
            "parser alone, an epoch": epochs("rlld", store, folder / "alone", "denoiser=null"),
            "`rlld-joint`, an epoch": epochs("rlld-joint", store, folder / "joint", "denoiser.warmup=0"),
            f"`rlld-paper`, an episode of {steps} states": episodes("rlld-paper", store, folder / "paper", steps),
            f"`rlld`, a pair of {steps} states": episodes("rlld", store, folder / "rlld", steps),
        }
        best = dict.fromkeys(work, float("inf"))
        for _ in range(arguments.repeats + 1):  # the first time warms up, and is never the best
            for label, one in work.items():
                begun = time.perf_counter()
                one()
                best[label] = min(best[label], time.perf_counter() - begun)
        alone = next(iter(best.values()))
        print(f"{torch.get_num_threads()} threads, {arguments.videos} simulated training videos, {PRECISION}\n")
        print("| what | seconds | ratio |\n|---|--:|--:|")
        for label, seconds in best.items():
            print(f"| {label} | {seconds:.2f} | {seconds / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
