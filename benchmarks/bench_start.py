"""Time and memory from a call to its first result, beside the import of torch alone.

Every command is a process of its own, several times in turn, so that a busy machine slows all of them alike; the
median counts. Wall time is what one waits for; processor time is steadier where other programs run.

Run: ``python -m benchmarks.bench_start RUN VIDEO [--rounds 5]`` with a trained run, such as ``runs/demo``, and a clip.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

FIRST = "import avparse; avparse.parse({video!r}, {run!r}, progress=None)"


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the clock, seconds of processor time, and peak memory in MB."""

    wall: float
    processor: float
    memory: float


def measure(command: Sequence[str]) -> Cost:
    """Run a command and return what it took.

    Raises:
        RuntimeError: the command failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(command)}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def commands(run: str, video: str, out: Path) -> dict[str, list[str]]:
    """Return what is measured, by name; the first is what the others are compared with."""
    python, program = [sys.executable, "-c"], [sys.executable, "-m", "avparse"]
    return {
        "import torch": [*python, "import torch"],
        "import avparse.training.train": [*python, "import avparse.training.train"],
        "avparse --help": [*program, "--help"],
        "avparse.parse(VIDEO)": [*python, FIRST.format(video=video, run=run)],
        "avparse parse VIDEO": [*program, "parse", video, "--run", run, "-o", str(out)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("video")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = commands(given.run, given.video, Path(folder) / "out")
        costs = {name: [measure(command)] for name, command in measured.items()}  # warms the file cache
        costs = {name: [] for name in measured}
        for _ in range(given.rounds):
            for name, command in measured.items():
                costs[name].append(measure(command))
    print("| command | wall (s) | processor (s) | ratio to import torch | peak memory (MB) |")
    print("|---|---:|---:|---:|---:|")
    reference = costs["import torch"]
    for name, found in costs.items():
        ratio = median(a.processor / b.processor for a, b in zip(found, reference, strict=True))
        wall, processor, memory = (median(getattr(c, key) for c in found) for key in ("wall", "processor", "memory"))
        print(f"| `{name}` | {wall:.2f} | {processor:.2f} | {ratio:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
