"""The path of the data: simulation, import of published features, decoding and light features, synthesis.

    python -m benchmarks.bench_data

Each job runs in a child process, which reports its time and its peak resident memory. The bound that each is held
against is counted on this machine in the same run: bytes written by a plain copy of the same size for the stores.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from avparse.data.datasets.importing import import_dataset
from avparse.data.datasets.llp import LLP
from avparse.data.simulation.corpus import synthesise
from avparse.data.simulation.simulate import simulate
from avparse.media.extractors.light import LightExtractor
from avparse.media.pipeline import extract_video
from benchmarks.bench_memory import published_features

_VIDEOS = 11_849
_IMPORTED = 2_000
_CLIPS = 60


def _child(
    job: Callable[..., Any], arguments: tuple[Any, ...], queue: multiprocessing.Queue[tuple[float, int]]
) -> None:
    begun = time.perf_counter()
    job(*arguments)
    queue.put((time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def measure(job: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """Run ``job`` in a fresh process; return seconds and peak resident MiB."""
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[tuple[float, int]] = context.Queue()
    child = context.Process(target=_child, args=(job, arguments, queue))
    child.start()
    seconds, peak = queue.get()
    child.join()
    return seconds, peak / 1024


def write_zeros(path: Path, size: int) -> None:
    """Write ``size`` bytes in blocks of 8 MiB and sync them: the limit of anything that writes a store."""
    with open(path, "wb") as file:
        for _ in range(size >> 23):
            file.write(bytes(1 << 23))
        file.flush()


def extract_all(folder: Path) -> None:
    """Decode every clip of a folder and extract its light features, in this process."""
    streams = LightExtractor().streams
    for path in sorted(folder.glob("*.mp4")):
        extract_video(path, streams)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| job | seconds | rate | peak, MiB |\n|---|--:|--:|--:|")
        seconds, peak = measure(simulate, folder / "simulated")
        size = sum(f.stat().st_size for f in (folder / "simulated").iterdir())
        floor, _ = measure(write_zeros, folder / "zeros", size)
        print(f"| simulate {_VIDEOS:,} videos | {seconds:.1f} | {_VIDEOS / seconds:.0f} videos/s | {peak:.0f} |")
        print(f"| write as many bytes ({size >> 20} MiB) | {floor:.1f} | {size / floor / 2**20:.0f} MiB/s | |")
        published_features(folder, _IMPORTED)
        seconds, peak = measure(import_dataset, LLP(LLP.Config()), folder, folder / "tables", folder / "imported")
        print(f"| import {_IMPORTED:,} videos | {seconds:.1f} | {_IMPORTED / seconds:.0f} videos/s | {peak:.0f} |")
        seconds, peak = measure(synthesise, folder / "corpus", _CLIPS, 0, 1)
        print(
            f"| synthesise {_CLIPS} clips, one process | {seconds:.1f} | {_CLIPS / seconds:.1f} clips/s | {peak:.0f} |"
        )
        seconds, peak = measure(extract_all, folder / "corpus" / "videos")
        rate = np.round(10 * _CLIPS / seconds)
        print(f"| decode and extract them, one process | {seconds:.1f} | {rate:.0f} s of video/s | {peak:.0f} |")


if __name__ == "__main__":
    main()
