"""Other labels for a store against making it: seconds of `avparse data relabel` at LLP's size.

    python -m benchmarks.bench_relabel

A store of LLP's size is simulated, its labels are written as a table, and the command is started once with it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore


def main() -> None:
    """Print the number of videos and both times."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        begun = time.perf_counter()
        simulate(folder / "store", seed=0)
        made = time.perf_counter() - begun
        store = FeatureStore.open(folder / "store")
        labels = [
            f"{v},{'|'.join(store.vocabulary.decode(w))},{s}"
            for v, w, s in zip(store.videos, store.weak, store.splits, strict=True)
        ]
        (folder / "labels.csv").write_text("\n".join(["video,labels,split", *labels]), encoding="utf-8")
        (folder / "classes.txt").write_text("\n".join(store.vocabulary.names), encoding="utf-8")
        tables = ["--labels", str(folder / "labels.csv"), "--classes", str(folder / "classes.txt")]
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "avparse", "data", "relabel", str(store.path), *tables], check=True)
        print(f"{len(store)} videos: simulated in {made:.1f} s, relabelled in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
