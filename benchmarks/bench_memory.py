"""Peak private memory of importing and of training on a store ten times larger than the memory limit set for the test.

    python -m benchmarks.bench_memory [--limit MIB]

Each job runs in a child process. Its private memory (anonymous resident pages, ``RssAnon``: heap, not the pages of the
store that the kernel caches and drops when it needs the room) is watched every few milliseconds; a job that grows by
more than the limit beyond what it held after its imports is killed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import torch

from avparse.data.batching import task_spec
from avparse.data.datasets.importing import import_dataset
from avparse.data.datasets.llp import LLP, write_llp
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import LLP_CLASSES, Vocabulary
from avparse.training.recipe import load_recipe
from avparse.training.train import train

_MIB = 1 << 20
_BYTES_A_VIDEO = 10 * (128 + 2048 + 512) * 4


def _private(process: int) -> int:
    """Return the bytes of anonymous resident memory of a process, 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def _child(job: Callable[[], None], ready: Event) -> None:
    torch.set_num_threads(1)
    ready.set()
    time.sleep(0.2)  # the parent takes the starting point now
    job()


def run(name: str, job: Callable[[], None], limit: int, size: int) -> None:
    """Run ``job`` under the limit and print a row."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    child = context.Process(target=_child, args=(job, ready))
    child.start()
    ready.wait()
    start, peak = _private(child.pid or 0), 0
    while child.is_alive():
        peak = max(peak, _private(child.pid or 0) - start)
        if peak > limit:
            child.kill()
        time.sleep(0.003)
    child.join()
    state = "done" if child.exitcode == 0 else "killed at the limit" if peak > limit else "failed"
    print(f"| {name} | {size / _MIB:.0f} | {limit / _MIB:.0f} | {peak / _MIB:.0f} | {state} |", flush=True)


def published_features(folder: Path, videos: int) -> None:
    """Write random features in the published layout: many links to one set of files, which cost no disk."""
    rng = np.random.default_rng(0)
    ids = [f"v{i:010d}_0_10" for i in range(videos)]
    weak = rng.random((videos, len(LLP_CLASSES))) < 0.1
    weak[:, 0] = True
    timeline = np.repeat(weak[:, None], 10, axis=1)
    splits = ["val" if i % 20 == 0 else "train" for i in range(videos)]
    write_llp(folder / "tables", Vocabulary(LLP_CLASSES), ids, splits, weak=weak, audio=timeline, visual=timeline)
    shapes = {"vggish": (10, 128), "res152": (80, 2048), "r2plus1d_18": (10, 512)}
    for name, shape in shapes.items():
        (folder / name).mkdir()
        np.save(folder / "one.npy", rng.standard_normal(shape).astype(np.float32))
        (folder / "one.npy").rename(folder / name / "one.npy")
        for video in ids:
            (folder / name / f"{video[:11]}.npy").hardlink_to(folder / name / "one.npy")
        (folder / name / "one.npy").unlink()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=256, help="MiB")
    limit = parser.parse_args().limit * _MIB
    videos = 10 * limit // _BYTES_A_VIDEO + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        published_features(folder, videos)
        out = folder / "store"
        print("| job | store, MiB | limit, MiB | peak, MiB | |\n|---|--:|--:|--:|---|")
        size = videos * _BYTES_A_VIDEO

        def imported() -> None:
            report = import_dataset(LLP(LLP.Config()), folder, folder / "tables", out)
            if report.problems:
                raise RuntimeError(f"{len(report.problems)} files not imported, such as {report.problems[0]}")

        run("import", imported, limit, size)
        recipe = load_recipe("han", ["training.epochs=1", "training.batch_size=16", "parser.stem.width=128"])

        def train_mapped() -> None:
            store = FeatureStore.open(out)
            assert task_spec(store).segments == 10
            train(recipe, store, folder / "run", resident=False)

        run("train, memory-mapped", train_mapped, limit, size)

        def train_resident() -> None:
            train(recipe, FeatureStore.open(out), folder / "run2", resident=True)

        run("train, resident (must fail: the limit is real)", train_resident, limit, size)


if __name__ == "__main__":
    main()
