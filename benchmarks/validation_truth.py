"""How much validation truth do RLLD and the class prior need? Quality of the refined labels, on simulated LLP.

    python -m benchmarks.validation_truth [--store STORE] [--videos 25 50 100 200 400 649] [--draws N]

Only some of the validation videos count as annotated, drawn anew for each of ``--draws``. A row has the share of the
kept visual labels that are wrong and the share of the right ones that are kept, mean and deviation over the draws.
Without ``--store``, LLP is simulated at its full size.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avparse.data.batching import Indices
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.foundation.progress import showing
from avparse.foundation.settings import build
from avparse.training.denoisers import DENOISERS, Denoiser
from avparse.training.recipe import load_recipe
from avparse.training.workspace import Workspace

METHODS = {"class prior": "class-prior", "RLLD": "rlld"}


@dataclass(frozen=True)
class PartlyAnnotated(Workspace):
    """A workspace in which only some of the validation videos are there.

    Attributes:
        annotated: positions of these videos in the store.
    """

    annotated: Indices | None = None

    @property
    def val(self) -> Indices:
        """Positions of the validation videos that count."""
        assert self.annotated is not None
        return self.annotated


def visual_quality(workspace: PartlyAnnotated) -> tuple[float, float]:
    """Return the share of wrong ones among the kept visual labels and that of kept among the right ones, percent."""
    assert workspace.recipe.denoiser is not None
    denoiser: Denoiser = build(DENOISERS, workspace.recipe.denoiser)
    labels = denoiser.prepare(workspace).labels
    assert labels is not None
    kept = torch.from_numpy(labels.side("visual")[0] >= 0.5) & torch.from_numpy(labels.given)
    right = workspace.modality_truth(workspace.train)[1] & torch.from_numpy(labels.given)
    return 100 * float((kept & ~right).sum() / kept.sum()), 100 * float((kept & right).sum() / right.sum())


def measure(store: FeatureStore, videos: Sequence[int], draws: int, folder: Path) -> None:
    """Print the table."""
    print("| method | validation videos | wrong of the kept visual labels | right visual labels kept |")
    print("|---|---:|---:|---:|")
    warm = folder / "warm.safetensors"
    for count in videos:
        found: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
        for draw in range(draws):
            some = np.sort(np.random.default_rng(draw).permutation(store.select("val"))[:count])
            for method, name in METHODS.items():
                place = Path(tempfile.mkdtemp(dir=folder))
                if warm.is_file():  # the parser of the weak labels does not depend on the validation videos
                    shutil.copy(warm, place)
                recipe = load_recipe("rlld", [] if name == "rlld" else [f"denoiser={{name: {name}}}"])
                found[method].append(visual_quality(PartlyAnnotated(recipe, store, place, seed=draw, annotated=some)))
                if name == "rlld" and not warm.is_file():
                    shutil.copy(place / warm.name, warm)
                shutil.rmtree(place)
        for method, values in found.items():
            means, spread = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) if draws > 1 else np.zeros(2)
            cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(means, spread, strict=True)]
            print(f"| {method} | {count} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--videos", type=int, nargs="+", default=[25, 50, 100, 200, 400, 649])
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, showing("bar"):
        path = arguments.store or Path(name) / "store"
        if arguments.store is None:
            simulate(path, seed=0)
        measure(FeatureStore.open(path), arguments.videos, arguments.draws, Path(name))


if __name__ == "__main__":
    main()
