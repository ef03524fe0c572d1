"""Commands that are killed at random moments: each is started again to its end and compared with an undisturbed one.

    python -m benchmarks.kills

One table: for each kind the kills, those after which the same command again gave the same results bit for bit, and the
temporary files that were left then. Training is also stopped by SIGTERM, in turn with SIGKILL. The processes are forks
of one that has loaded PyTorch and works with one thread, so that a kill falls into the work and not into the imports.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is loaded: threads do not survive a fork

import torch

from avparse.app import cli
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.foundation.files import sha256_of
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.clips import click, flash, tone, write_clip
from tests.llp_folders import published

Action = Callable[[], object]
_WAIT_S, _TRIES = 0.002, 5
_SMALL = ("parser.stem.width=8", "parser.encoder.feedforward=8", "training.batch_size=16", "training.epochs=3")
_REWARDED = ("denoiser.episodes=3", "denoiser.steps=3", "denoiser.batch_size=8")
RECIPES = {
    "han": (),
    "ma": ("denoiser.epochs=3",),
    "jomold": ("denoiser.epochs=3",),
    "coteaching": (),
    "class-prior": (),
    "rlld": _REWARDED,
    "rlld-joint": ("denoiser.warmup=0", "denoiser.every=1", "denoiser.reward_videos=8"),
    "rlld-plus": ("denoiser.folds=2", "denoiser.finetune_epochs=2"),
}


@dataclass(frozen=True)
class Kind:
    """A command that is killed.

    Attributes:
        name: the row of the table.
        kills: how many processes are killed.
        action: what the process does, for the folder of its results; also what goes on after a kill.
        content: what the action leaves, for that folder.
        signals: sent in turn.
        in_a_row: kills of one job before it is brought to its end.
    """

    name: str
    kills: int
    action: Callable[[Path], object]
    content: Callable[[Path], object]
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,)
    in_a_row: int = 1


@dataclass
class Row:
    """What became of the kills of a kind."""

    killed: int = 0
    equal: int = 0
    left: int = 0

    def __str__(self) -> str:
        return f"{self.killed} | {self.equal} | {self.left}"


def avparse(*arguments: str | Path) -> None:
    """Run the command line in this process."""
    sys.argv = ["avparse", *map(str, arguments)]
    cli.main()


def _start(action: Action, log: Path) -> int:
    """Start a process and return its number; what it says is appended to a file."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        action()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # nothing may return into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(action: Action, log: Path) -> int:
    """Run an action in a process of its own to its end and return the exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(_start(action, log), 0)[1])


def _killed(action: Action, log: Path, number: signal.Signals, after_s: float) -> bool:
    """Start an action and send it a signal; return False if it had ended before."""
    child, until = _start(action, log), time.monotonic() + after_s
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(_WAIT_S)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (-number, 128 + number)


def _load_modules(action: Action, folder: Path) -> None:
    """Import what an action imports, so that its forks need not."""
    names = folder / "modules"

    def listed() -> None:
        with contextlib.suppress(SystemExit):
            action()
        names.write_text("\n".join(sys.modules))

    _ended(listed, folder / "log")
    for name in names.read_text().splitlines():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _undisturbed(kind: Kind, folder: Path) -> tuple[object, float]:
    """Return what an undisturbed process leaves, and its seconds; two of them must agree."""
    _load_modules(partial(kind.action, folder / "first"), folder)
    begun = time.monotonic()
    code = _ended(partial(kind.action, folder / "second"), folder / "log")
    seconds = time.monotonic() - begun
    contents = [kind.content(folder / name) for name in ("first", "second")]
    if code or contents[0] != contents[1]:
        raise SystemExit(f"{kind.name}: undisturbed calls failed or differ\n{(folder / 'log').read_text()[-2000:]}")
    return contents[1], seconds


def _temporary(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") or path.name.endswith(".work")]


def measured(kind: Kind, folder: Path, seed: int) -> Row:
    """Kill processes of a kind at random moments and return what became of them."""
    (folder / "undisturbed").mkdir(parents=True)
    expected, seconds = _undisturbed(kind, folder / "undisturbed")
    moments, row = random.Random(f"{kind.name} {seed}"), Row()
    for number in range(_TRIES * kind.kills):
        place = folder / str(number)
        place.mkdir()
        action, log = partial(kind.action, place / "out"), folder / f"{number}.log"
        kills = 0
        for _ in range(min(kind.in_a_row, kind.kills - row.killed)):
            sent = kind.signals[(row.killed + kills) % len(kind.signals)]
            kills += _killed(action, log, sent, seconds * moments.random())
        if kills:
            code = _ended(action, log)  # 2 where the results were there already
            equal = code in (0, 2) and kind.content(place / "out") == expected
            left = _temporary(place)
            row = Row(row.killed + kills, row.equal + kills * equal, row.left + len(left))
            if not equal or left:
                print(f"{kind.name}, {number}: exit code {code}, {left}\n{log.read_text()[-2000:]}", file=sys.stderr)
        shutil.rmtree(place)
        if row.killed >= kind.kills:
            break
    return row


def _files(*patterns: str) -> Callable[[Path], object]:
    """Return a function that digests files of a folder."""

    def content(folder: Path) -> object:
        paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
        return [(path.name, sha256_of(path)) for path in paths] or "nothing"

    return content


def _table(path: Path) -> object:
    return sha256_of(path) if path.is_file() else "nothing"


def _store(folder: Path) -> object:
    if not folder.exists():
        return "nothing"
    store = FeatureStore.open(folder)
    store.verify()
    return store.fingerprint, _files("*.npy")(folder)


def _prepare(folder: Path) -> None:
    """Make what the commands read: a simulated store, clips with labels, published features, and a run."""
    simulate(folder / "store", seed=0, train=24, val=8, test=8)
    published(folder / "llp", 9)
    clips = folder / "clips"
    clips.mkdir()
    for n in range(4):
        write_clip(clips / f"v{n}.wav", sound=tone(300.0 + 100 * n), seconds=2.0)
        write_clip(clips / f"v{n + 4}.mp4", sound=click(1.0), picture=flash(1.0), seconds=2.0)
    names = [("Cat", "Dog")[n % 2] for n in range(8)]
    rows = [f"v{n},{name},{'train' if n < 5 else 'val'}" for n, name in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(["video,labels,split", *rows]))
    (folder / "classes.txt").write_text("Cat\nDog\n")
    events = [f"v{n},{name},audio,0,1" for n, name in enumerate(names)]
    (folder / "events.csv").write_text("\n".join(["video,class,modality,onset,offset", *events]))


def _extract(folder: Path, out: Path) -> None:
    tables = ("--labels", folder / "labels.csv", "--classes", folder / "classes.txt", "--events", folder / "events.csv")
    avparse("extract", folder / "clips", *tables, "-o", out, "--workers", "0")


def _train_on_clips(folder: Path) -> None:
    changes = ("training.epochs=1", "denoiser=null", "training.batch_size=4", "decoding.segment_threshold=0")
    data = ("--data", folder / "clip-store", "-o", folder / "run")
    avparse("train", "demo", *data, *_set(changes))


def _set(changes: tuple[str, ...]) -> tuple[str, ...]:
    return (*(word for change in changes for word in ("--set", change)), "--device", "cpu")


def _train(folder: Path, recipe: str, out: Path) -> None:
    changes = (*_SMALL, *RECIPES[recipe])
    avparse("train", recipe, "--data", folder / "store", "-o", out, *_set(changes), "--resume")


def _train_with_checkpoints(folder: Path, out: Path) -> None:
    recipe = load_recipe("han", [*_SMALL[:-1], "training.epochs=8"])
    train(recipe, folder / "store", out, resume=True, device="cpu", checkpoint_seconds=0)


def _import(folder: Path, out: Path) -> None:
    given = ("--features", folder / "llp" / "features", "--annotations", folder / "llp" / "tables")
    avparse("import", "llp", *given, "-o", out)


def _denoise(folder: Path, out: Path) -> None:
    changes = (*_SMALL, "denoiser.epochs=3")
    avparse("denoise", folder / "store", "--method", "ma", "--recipe", "ma", "-o", out, *_set(changes))


def _parse(folder: Path, out: Path) -> None:
    avparse("parse", folder / "clips", "--run", folder / "run", "-o", out, "--workers", "0")


def _kinds(folder: Path, given: argparse.Namespace) -> Iterator[Kind]:
    weights = _files("parser.safetensors", "visual.safetensors", "labels.parquet", "results.json")
    both = (signal.SIGKILL, signal.SIGTERM)
    checkpoints = partial(_train_with_checkpoints, folder)
    yield Kind("training, a checkpoint every epoch", given.checkpoints, checkpoints, weights, in_a_row=10)
    for recipe in RECIPES:
        yield Kind(f"train {recipe}, half by SIGTERM", given.recipes, partial(_train, folder, recipe), weights, both)
    yield Kind("extract", given.extractions, partial(_extract, folder), _store)
    yield Kind("import llp", given.imports, partial(_import, folder), _store)
    yield Kind("denoise", given.denoise, partial(_denoise, folder), _table)
    yield Kind("parse", given.parse, partial(_parse, folder), _files("*.json", "*.csv"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    counts = {"checkpoints": 200, "recipes": 10, "extractions": 50, "imports": 30, "denoise": 40, "parse": 20}
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count, help="kills (of each recipe)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Print the table, and what went wrong to standard error."""
    given = _options()
    torch.set_num_threads(1)
    total, begun = Row(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), Path(name, "log")
        steps = (_prepare, lambda folder: _extract(folder, folder / "clip-store"), _train_on_clips)
        if any(_ended(partial(step, folder), log) for step in steps):
            raise SystemExit(log.read_text())
        print("| kind | killed | recovered equal | temporary files left after the next start |\n|---|--:|--:|--:|")
        for kind in _kinds(folder, given):
            if not kind.kills:
                continue
            row = measured(kind, folder / "kills" / kind.name, given.seed)
            total = Row(total.killed + row.killed, total.equal + row.equal, total.left + row.left)
            print(f"| {kind.name} | {row} |", flush=True)
    print(f"| all | {total} |\n\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
