"""Antithetic pairs or leave-one-out groups? What a gradient of RLLD's exploration by class is worth for its episodes.

    python -m benchmarks.rlld_groups [--store STORE] [--draws 48] [--set KEY=VALUE] [--run RUN]

From one parser of the weak labels, before anything is learned, shifts are drawn and each is played with its opposite.
From these episodes the gradient of the mean of the shifts is estimated in different ways: by pairs of opposite shifts,
with the reward credited to each class or whole, and by groups of K independent shifts, each judged by the others
(leave-one-out). A row has the signal-to-noise ratio of one episode: the mean of the estimates for visual Speech, the
class of most wrong labels, divided by their deviation and by the root of the episodes that one estimate costs; and the
noise of one episode: the deviation of the estimates for all other classes and modalities, relative to that mean, times
the same root. ``--run`` takes the parser of
the weak labels from a run of the same recipe. Without ``--store``, LLP is simulated with 2,500 training videos.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.evaluation.parsing import Counts
from avparse.foundation.progress import showing, track
from avparse.labels.reinforced.actions import sample
from avparse.training.denoisers.rlld import RLLDDenoiser
from avparse.training.denoisers.rlld_learner import Learner
from avparse.training.recipe import load_recipe
from avparse.training.workspace import Workspace

GROUPS = (2, 3, 4)
Pair = tuple[Tensor, Counts, Counts]


def play(learner: Learner, draws: int) -> list[Pair]:
    """Return shifts ``[2, C]`` and the counts of an episode with each shift and with its opposite."""
    found: list[Pair] = []
    for number in track(range(draws), "pairs", unit="pair"):
        learner.episode = number
        generator = torch.Generator().manual_seed(number)
        drawn, counts = learner.shift.draw(generator), list[Counts]()
        for sign in (1, -1):
            learner._shift_policy(sign * drawn)
            coins = torch.Generator().manual_seed(number)
            counts.append(learner._play(partial(sample, generator=coins)).counts)
        found.append((drawn, counts[0], counts[1]))
    return found


def estimates(learner: Learner, pairs: list[Pair]) -> dict[str, tuple[int, Tensor]]:
    """Return the episodes of one estimate and the estimates ``[n, 2, C]`` of each way, by its name."""
    variance = learner.config.shift.deviation**2
    found: dict[str, tuple[int, Tensor]] = {}
    for credit in ("class", "whole"):
        learner.config = learner.config.model_copy(update={"credit": credit})
        gains = [learner._class_gain(first, second) * drawn / (2 * variance) for drawn, first, second in pairs]
        found[f"antithetic pair, credit {credit}"] = (2, torch.stack(gains))
    silent = learner.environment.silence()  # any fixed counts: leave-one-out subtracts them again
    drawn = torch.stack([pair[0] for pair in pairs])
    rewards = torch.stack([learner._class_gain(first, silent) for _, first, _ in pairs])  # [n, 2, C], whole
    for size in GROUPS:
        whole = len(pairs) // size * size
        d, r = (x[:whole].view(-1, size, *x.shape[1:]) for x in (drawn, rewards))
        advantage = (r - r.mean(dim=1, keepdim=True)) * size / (size - 1)
        found[f"leave-one-out, {size} shifts"] = (size, (advantage * d).mean(dim=1) / variance)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--draws", type=int, default=48)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, showing("bar"):
        path, folder = arguments.store or Path(name) / "store", Path(name)
        if arguments.store is None:
            simulate(path, seed=0, train=2500)
        if arguments.run is not None:
            shutil.copy(arguments.run / "denoised" / "warm.safetensors", folder)
        recipe, store = load_recipe("rlld", arguments.settings), FeatureStore.open(path)
        assert isinstance(recipe.denoiser, RLLDDenoiser.Config)
        learner = Learner(recipe.denoiser, Workspace(recipe, store, folder, seed=0))
        speech = list(store.vocabulary).index("Speech")
        print("| way | episodes | signal to noise | noise of the other classes |")
        print("|---|--:|--:|--:|")
        for way, (episodes, found) in estimates(learner, play(learner, arguments.draws)).items():
            signal, noise = float(found[:, 1, speech].mean()), float(found[:, 1, speech].std())
            others = np.delete(found.reshape(len(found), -1).numpy(), store.weak.shape[1] + speech, axis=1)
            cells = (-signal / noise / episodes**0.5, others.std(axis=0, ddof=1).mean() / abs(signal) * episodes**0.5)
            print(f"| {way} | {episodes} | {cells[0]:.2f} | {cells[1]:.2f} |")


if __name__ == "__main__":
    main()
