"""Learning curves of RLLD over several initialisations, as the paper's Figures 6 to 11, on simulated LLP.

    python -m benchmarks.rlld_curves -o OUT [--store STORE] [--seeds 5] [--set KEY=VALUE] [--against KEY=VALUE]

Every seed draws the initialisation of the task network, the order of the videos and the shifts anew. ``OUT.csv`` has
mean and sample deviation over the seeds of each metric after each pair of episodes, and the seconds of processor time
of a search: encoding the videos once, and all pairs but the first. ``OUT.svg`` draws the curves. With ``--against``
second curves are learned with that setting. The parser of the final training is not trained. Without ``--store``, LLP
is simulated with 2,500 training videos.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.app.charts.curves import Group, History, draw
from avparse.app.charts.style import about_data, save
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.foundation.arrays import Float64Array
from avparse.foundation.files import write_text
from avparse.foundation.progress import showing
from avparse.training.denoisers.rlld import RLLDDenoiser
from avparse.training.recipe import load_recipe
from avparse.training.workspace import Workspace

SHOWN = (
    *(f"val/{level}_{kind}" for level in ("segment", "event") for kind in ("audio", "visual", "event")),
    *("noise_audio", "noise_visual", "right_visual"),
)


def learn(
    store: FeatureStore, settings: Sequence[str], seed: int, folder: Path
) -> tuple[dict[str, Float64Array], float]:
    """Return every metric of one learning policy, one value a pair, and the processor time of its search in seconds."""
    recipe = load_recipe("rlld", list(settings))
    assert isinstance(recipe.denoiser, RLLDDenoiser.Config)
    RLLDDenoiser(recipe.denoiser.model_copy(update={"episodes": 1})).prepare(Workspace(recipe, store, folder, seed))
    begun = time.process_time()
    RLLDDenoiser(recipe.denoiser).prepare(Workspace(recipe, store, folder, seed))
    seconds = time.process_time() - begun
    lines = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    found = {name: np.array([line[name] for line in lines]) for name in lines[0] if name != "episode"}
    return found, seconds


def curves(store: FeatureStore, settings: Sequence[str], seeds: int, folder: Path) -> tuple[list[History], float]:
    """Return the metrics of each seed, and the mean processor time of a search in seconds."""
    histories, times = [], []
    for seed in range(seeds):
        place = Path(tempfile.mkdtemp(dir=folder))
        found, seconds = learn(store, settings, seed, place)
        histories.append(History({k: (list(range(1, len(v) + 1)), v.tolist()) for k, v in found.items()}))
        times.append(seconds)
    return histories, float(np.mean(times))


def as_csv(groups: Sequence[Group], seconds: Sequence[float]) -> str:
    """Return one row for each group, metric and pair."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["settings", "metric", "pair", "mean", "deviation", "seeds", "seconds of the search"])
    for group, cost in zip(groups, seconds, strict=True):
        for name in group.histories[0].metrics:
            for pair, mean, deviation in zip(*group.spread(name), strict=True):
                rows.writerow(
                    [group.label, name, pair, f"{mean:.4f}", f"{deviation:.4f}", len(group.histories), f"{cost:.2f}"]
                )
    return text.getvalue()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--against", action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, showing("bar"):
        path = arguments.store or Path(name) / "store"
        if arguments.store is None:
            simulate(path, seed=0, train=2500)
        store, groups, seconds = FeatureStore.open(path), [], []
        for more in [[], arguments.against] if arguments.against else [[]]:
            histories, cost = curves(store, [*arguments.settings, *more], arguments.seeds, Path(name))
            groups.append(Group(", ".join(["RLLD", *more]), histories))
            seconds.append(cost)
            write_text(arguments.out.with_suffix(".csv"), as_csv(groups, seconds))
    title = about_data(f"Learning curves, {arguments.seeds} initialisations", [store.manifest.description])
    png, _ = save(draw(groups, SHOWN, "pair", title), arguments.out.with_suffix(""))
    png.unlink()


if __name__ == "__main__":
    main()
