"""Are features of small pretrained networks better than hand-made ones? ``compact`` against ``light``, same recipe.

    python -m benchmarks.compact_features FOLDER [--videos 300] [--seeds 1 2 3] [--epochs 60] [--workers N]

Each seed is a corpus of the demo (drawn pictures, synthesised sounds, known truth), the features of both extractors,
and four trainings of HAN on the weak labels: on all training videos and on a tenth of them. Everything is kept in
FOLDER; called again, it goes on. The table has the ten scores on the test videos, percent, mean and deviation over the
seeds.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from avparse.app.extracting import extract_store
from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.llp import read_llp
from avparse.data.datasets.relabelling import relabel
from avparse.data.simulation.corpus import synthesise
from avparse.data.store import FeatureStore
from avparse.foundation.files import scratch_folder
from avparse.foundation.progress import showing
from avparse.training.recipe import load_recipe
from avparse.training.train import train

STREAMS = {"light": (["audio"], ["frames", "clips"]), "compact": (["sounds"], ["pictures"])}
SHARES = {"all": 1.0, "a tenth": 0.1}


def fewer(labels: Annotations, share: float, seed: int) -> Annotations:
    """Return the annotations with only a share of the training videos in their split."""
    names = labels.of_split("train")
    kept = set(np.random.default_rng(seed).permutation(names)[: max(1, round(share * len(names)))])
    videos = {name: replace(v, split="") if name in set(names) - kept else v for name, v in labels.videos.items()}
    return replace(labels, videos=videos)


def stores(folder: Path, videos: int, seed: int, workers: int | None) -> dict[tuple[str, str], Path]:
    """Make the corpus of a seed and its stores, by extractor and share of the training videos."""
    synthesise(folder / "corpus", videos, seed, workers=workers)
    labels, found = read_llp(folder / "corpus"), {}
    for extractor in STREAMS:
        whole = folder / extractor
        extract_store(folder / "corpus" / "videos", labels, whole, extractor=extractor, workers=workers)
        for name, share in SHARES.items():
            path = whole if share == 1.0 else folder / f"{extractor}-{share:g}"
            if not path.is_dir():
                with scratch_folder(folder) as temporary:
                    shutil.copytree(whole, temporary / "store")
                    relabel(temporary / "store", fewer(labels, share, seed))
                    (temporary / "store").rename(path)
            found[extractor, name] = path
    return found


def scores(store: Path, extractor: str, out: Path, epochs: int, seed: int) -> dict[str, float]:
    """Train HAN on the weak labels, or read what was trained, and return the ten scores on the test videos."""
    audio, visual = STREAMS[extractor]
    changes = ["denoiser=null", f"training.epochs={epochs}"]
    changes += [f"parser.stem.audio={audio}", f"parser.stem.visual={visual}"]
    run = train(load_recipe("demo", changes), FeatureStore.open(store), out, seed=seed, resume=True, device="cpu")
    return {name: float(value) for name, value in run.scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with showing("bar"):
        for seed in given.seeds:
            folder = given.folder / f"{given.videos}-{seed}"
            for (extractor, share), store in stores(folder, given.videos, seed, given.workers).items():
                out = folder / f"run-{given.epochs}-{store.name}"
                found.setdefault((extractor, share), []).append(scores(store, extractor, out, given.epochs, seed))
    names = list(next(iter(found.values()))[0])
    print(f"| training videos | features | {' | '.join(names)} |\n|---|---|{'--:|' * len(names)}")
    for extractor, share in sorted(found, key=lambda key: key[1]):
        each = np.array([list(one.values()) for one in found[extractor, share]])
        spread = [f" ± {s:.1f}" for s in each.std(axis=0, ddof=1)] if len(each) > 1 else [""] * len(names)
        cells = [f"{m:.1f}{s}" for m, s in zip(each.mean(axis=0), spread, strict=True)]
        print(f"| {share} | {extractor} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
