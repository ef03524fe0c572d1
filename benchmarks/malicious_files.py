"""Files that are small on disk and large, deep or endless in memory: each is to be refused in one line, at once.

    python -m benchmarks.malicious_files

Every kind is made in a temporary folder and given to the command line in a child process of its own. The table has, for
each kind: refused of tried, and the peak memory and the processor seconds above those of the same command without that
file (with an unknown setting for `--set`), the median of three calls after one that warms up. A kind is refused when
the command ends with exit code 2 and one line within a minute. Processor seconds are counted because other work on the
machine changes the time on the clock by more than what is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import load_recipe
from avparse.training.run import Run

_TIMEOUT_S, _BASELINE_CALLS = 60, 3
_LAUGHS = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
LAUGHS = "\n".join([f"a0: &a0 [{', '.join(['ha'] * 10)}]", *_LAUGHS, "title: *a9"])
DEEP_YAML, DEEP_JSON = "title: " + "[" * 10_000 + "]" * 10_000, "[" * 10_000 + "]" * 10_000
DIGITS = "9" * 1000


@dataclass(frozen=True)
class Case:
    """One file and the command that reads it.

    Attributes:
        kind: the row of the table.
        make: writes the file into a folder of its own, beside a copy of a finished run where it needs one.
        command: arguments of the command line; ``{}`` stands for the folder, ``{store}`` for a feature store.
    """

    kind: str
    make: Callable[[Path], object]
    command: tuple[str, ...]


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _saved(value: object) -> Callable[[Path], None]:
    return lambda folder: torch.save(value, folder / "w.pt")


def _cycle(folder: Path) -> None:
    state: dict[str, object] = {}
    state["model"] = state
    torch.save(state, folder / "w.pt")


def _packed(folder: Path) -> None:
    torch.save({"a": torch.zeros(512 << 20, dtype=torch.uint8)}, folder / "plain.pt")
    with (
        zipfile.ZipFile(folder / "plain.pt") as old,
        zipfile.ZipFile(folder / "w.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    (folder / "plain.pt").unlink()


def _holes(name: str, head: bytes = b"") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with open(folder / name, "wb") as file:
            file.write(head)
            file.truncate(12 << 30)

    return make


def _equal_rows(folder: Path) -> None:
    names = ("video", "class", "modality", "reason")
    equal = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int32)), ["x"])
    group = pa.table(dict.fromkeys(names, equal))
    with pq.ParquetWriter(folder / "l.parquet", group.schema, store_schema=False) as writer:
        for _ in range(20):
            writer.write_table(group)


def _long_label(folder: Path) -> None:
    pq.write_table(pa.table({"video": ["a" * (400 << 20)]}), folder / "l.parquet", compression="zstd")


def _json_of_a_run(name: str, text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        run = folder / "run"
        run.mkdir()
        for file in ("recipe.yaml", "run.json", "parser.safetensors"):
            os.link(folder.parent / "run" / file, run / file)
        (run / name).unlink(missing_ok=True)
        (run / name).write_text(text)

    return make


def _pipe(name: str) -> Callable[[Path], None]:
    return lambda folder: os.mkfifo(folder / name)


def _device(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to("/dev/zero")


_TRAIN = ("train", "{}/r.yaml", "--data", "{store}", "-o", "{}/out", "--device", "cpu")
_SET = ("train", "han", "--data", "{store}", "-o", "{}/out", "--device", "cpu", "--set")
_IMPORT = ("import-checkpoint", "{}/w.pt", "--system", "han", "-o", "{}/out")
_LABELS = ("train", "han", "--data", "{store}", "-o", "{}/out", "--labels", "{}/l.parquet", "--device", "cpu")
_BENCH = ("bench", "{}/t.yaml", "-o", "{}/out")
_EVALUATE = ("evaluate", "--run", "{}/run", "--data", "{store}")
CASES = (
    Case("recipe, aliases multiplied", _text("r.yaml", LAUGHS), _TRAIN),
    Case("recipe, nested 10,000 deep", _text("r.yaml", DEEP_YAML), _TRAIN),
    Case("recipe, a number of 1,000 digits", _text("r.yaml", f"title: x\ntraining: {{epochs: {DIGITS}}}"), _TRAIN),
    Case("recipe, a pipe", _pipe("r.yaml"), _TRAIN),
    Case("recipe, a link to a device", _device("r.yaml"), _TRAIN),
    Case("recipe, 12 GiB of holes", _holes("r.yaml"), _TRAIN),
    Case("--set, aliases multiplied", _text("x", ""), (*_SET, f"title={{{', '.join(LAUGHS.splitlines())}}}")),
    Case("--set, nested 10,000 deep", _text("x", ""), (*_SET, "title=" + "[" * 10_000)),
    Case("--set, a number of 1,000 digits", _text("x", ""), (*_SET, f"training.epochs={DIGITS}")),
    Case("--set, a key of 10,000 parts", _text("x", ""), (*_SET, ".".join(["a"] * 10_000) + "=1")),
    Case("table of runs, aliases multiplied", _text("t.yaml", LAUGHS), _BENCH),
    Case("table of runs, nested 10,000 deep", _text("t.yaml", DEEP_YAML), _BENCH),
    Case("run.json, nested 10,000 deep", _json_of_a_run("run.json", DEEP_JSON), _EVALUATE),
    Case("run.json, a number of 1,000 digits", _json_of_a_run("run.json", f'{{"seed": {DIGITS}}}'), _EVALUATE),
    Case("decoding.json, nested 10,000 deep", _json_of_a_run("decoding.json", DEEP_JSON), _EVALUATE),
    Case("recipe of a run, aliases multiplied", _json_of_a_run("recipe.yaml", LAUGHS), _EVALUATE),
    Case("weights, a packed archive of zeros", _packed, _IMPORT),
    Case("weights, a dictionary inside itself", _cycle, _IMPORT),
    Case("weights, stride 0", _saved({"a": torch.ones(1).expand(1 << 32)}), _IMPORT),
    Case("weights, meta", _saved({"a": torch.ones(1 << 40, device="meta")}), _IMPORT),
    Case(
        "weights, sparse",
        _saved({"a": torch.sparse_coo_tensor(torch.tensor([[0]]), torch.tensor([1.0]), (1 << 40,))}),
        _IMPORT,
    ),
    Case("weights, NaN", _saved({"a": torch.tensor([float("nan")])}), _IMPORT),
    Case("weights, 12 GiB of holes", _holes("w.pt"), _IMPORT),
    Case("weights, a pipe", _pipe("w.pt"), _IMPORT),
    Case("labels, sixty million equal rows", _equal_rows, _LABELS),
    Case("labels, one of 400 MB", _long_label, _LABELS),
    Case("labels, a pipe", _pipe("l.parquet"), _LABELS),
    Case("store, manifest nested 10,000 deep", _text("manifest.json", DEEP_JSON), ("data", "info", "{}")),
    Case("store, manifest a link to a device", _device("manifest.json"), ("data", "info", "{}")),
)


def _run(command: list[str]) -> tuple[int, str, int, float]:
    """Return exit code, standard error, peak memory in bytes and processor seconds of a command."""
    script = f"""
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], timeout={_TIMEOUT_S}).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_maxrss, used.ru_utime + used.ru_stime)
"""
    full = [sys.executable, "-c", script, sys.executable, "-m", "avparse", *command]
    done = subprocess.run(full, capture_output=True, text=True, check=False)
    words = done.stdout.split()[-3:]
    if done.returncode or len(words) != 3:
        return -1, done.stderr, 0, 0.0
    return int(words[0]), done.stderr, int(words[1]) * 1024, float(words[2])


def _given(command: tuple[str, ...], folder: Path, store: FeatureStore) -> list[str]:
    """Return the arguments of a command with the folder and the store in their places."""
    return [word.replace("{store}", str(store.path)).replace("{}", str(folder)) for word in command]


class Baselines:
    """Memory in bytes and processor seconds of commands that refuse a missing file or an unknown setting.

    Args:
        folder: a folder without files.
        store: a feature store.
    """

    def __init__(self, folder: Path, store: FeatureStore) -> None:
        self._folder, self._store = folder, store
        self._known: dict[tuple[str, ...], tuple[float, float]] = {}

    def of(self, case: Case) -> tuple[float, float]:
        """Return the medians for the command of a case."""
        command = (*case.command[:-1], "nothing=1") if case.command[-2] == "--set" else case.command
        if command not in self._known:
            arguments = _given(command, self._folder, self._store)
            if not self._known:
                _run(arguments)  # the first one reads the libraries from the disk
            tries = [_run(arguments) for _ in range(_BASELINE_CALLS)]
            assert all(code == 2 for code, *_ in tries), tries
            memory, seconds = (statistics.median(values) for values in list(zip(*tries, strict=True))[2:])
            self._known[command] = memory, seconds
            print(f"{command[0]} {command[-2]}: {memory / 1e6:.0f} MB, {seconds:.1f} s", file=sys.stderr)
        return self._known[command]


def _finished_run(folder: Path) -> FeatureStore:
    """Make a store and a run with weights, for commands that read one."""
    simulate(folder / "store", seed=0, train=20, val=5, test=5)
    store = FeatureStore.open(folder / "store")
    run = Run.create(folder / "run", load_recipe("han"), store, 1)
    run.save_parser(build_parser(run.recipe.parser, run.info.spec))
    return store


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="kinds that hold this text")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = _finished_run(folder)
        (folder / "nothing").mkdir()
        baselines = Baselines(folder / "nothing", store)
        print("| kind | refused / tried | memory above (MB) | processor seconds above |\n|---|---:|---:|---:|")
        refused = tried = 0
        for number, case in enumerate(c for c in CASES if only in c.kind):
            place = folder / str(number)
            place.mkdir()
            case.make(place)
            memory, seconds = baselines.of(case)
            code, errors, peak, took = _run(_given(case.command, place, store))
            lines = [line for line in errors.splitlines() if line.strip()]
            good = code == 2 and len(lines) == 1 and lines[0].startswith("avparse: error: ")
            refused, tried = refused + good, tried + 1
            more = f"{max(0, peak - memory) / 1e6:.0f} | {max(0.0, took - seconds):.1f}"
            print(f"| {case.kind} | {int(good)} / 1 | {more} |", flush=True)
            if not good:
                print(f"  exit code {code}: {' '.join(lines)[-300:]}", file=sys.stderr)
        print(f"\n{refused} of {tried} refused")


if __name__ == "__main__":
    main()
