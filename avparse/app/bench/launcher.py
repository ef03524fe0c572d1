"""Launcher of a benchmark table, with one process per run; finished runs are never repeated.

Layout of OUT::

    data/HASH/              the simulated store, if the table asks for one
        runs/NAME-seedS-HASH/   run folders; HASH is that of recipe, data version and seed
        attempts/               for every run its recipe (.yaml), output (.log), wall time (.json) and scores with tuned
                                thresholds (.tuned.json)
        table.md, table.csv     written again whenever a run ends

Only the launcher passes signals on to the runs. A launcher that is killed leaves its runs running; the next launcher
waits for them instead of starting them again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from avparse.app.bench.job import AVPARSE, Attempts, Job, Launch
from avparse.app.bench.plan import PlannedRun, Table, plan
from avparse.app.bench.table import RunResult, System, as_csv, as_markdown, read_result, read_tuned
from avparse.data.made_up import MadeUp, made_up
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text, writing
from avparse.foundation.interrupt import StopRequest
from avparse.foundation.platform import cores
from avparse.foundation.progress import Tracker, track

_POLL_SECONDS = 0.1


def bench(
    table: Path, out: Path | None = None, jobs: int = 1, device: str = "auto", program: Sequence[str] = AVPARSE
) -> tuple[str, list[tuple[str, str]]]:
    """Train the runs of a table that are not finished, and write ``table.md`` and ``table.csv``.

    On Ctrl-C or SIGTERM the runs save a checkpoint and the program exits; the same call continues from there.

    Args:
        table: path of the YAML file that :class:`avparse.app.bench.plan.Table` describes.
        out: folder of all results; None for ``runs/`` and the table's name.
        jobs: number of runs at once; they share the cores.
        device: device of the runs, as for ``avparse train``.
        program: command that starts a run; a script that registers parts and calls the command line makes them known to
            its runs too.

    Returns:
        The Markdown table, and name and reason of each run that failed.

    Raises:
        UserError: the table, a recipe or the data are bad; in that case nothing has run.
    """
    settings = Table.load(table)
    out = out or Path("runs") / table.stem
    recipes = settings.recipes(table)
    store = settings.data.open(table.parent, out)
    with writing(out):
        (out / "attempts").mkdir(parents=True, exist_ok=True)
    runs = plan(settings, recipes, out, settings.data.version(store.fingerprint, store.path))
    threads = max(1, cores() // jobs)
    conditions = f"{jobs} at once, {threads} threads each, device {device}"
    launch = Launch(store.path, device, threads, conditions, tuple(program))
    board = _Board(settings, runs, store, out)
    _run_jobs(board, launch, jobs)
    return board.markdown(), list(board.failures.items())


def _run_jobs(board: _Board, launch: Launch, jobs: int) -> None:
    """Keep ``jobs`` runs in progress until all have ended, or a signal has stopped them."""
    waiting = deque(run for run in board.runs if not run.finished)
    running: list[Job] = []
    bar: Tracker[None] = track(None, "bench", total=len(board.runs), unit="run", first=len(board.runs) - len(waiting))
    with StopRequest() as request, bar:
        try:
            while running or (waiting and request.signal is None):
                if request.signal is not None:
                    running = [job for job in running if job.ask_to_stop()]
                while waiting and len(running) < jobs and request.signal is None:
                    running.append(Job(waiting.popleft(), launch))
                    bar.note("; ".join(str(job.run) for job in running), now=True)
                for job in [job for job in running if job.poll()]:
                    running.remove(job)
                    if job.run.finished:
                        board.add(job.run)
                    elif request.signal is None:
                        board.failures[str(job.run)] = job.reason()
                    board.write()
                    bar.update()
                time.sleep(_POLL_SECONDS)
        finally:  # a second signal ends the runs at once
            for job in running:
                job.kill()
        if request.signal is not None:
            request.stop()


class _Board:
    """Results of the runs so far.

    Attributes:
        failures: reason of failure, by name of the run.
    """

    def __init__(self, settings: Table, runs: list[PlannedRun], store: FeatureStore, out: Path) -> None:
        self.settings, self.runs, self.store, self.out = settings, runs, store, out
        self.failures: dict[str, str] = {}
        self._results: dict[Path, RunResult] = {}
        self._tuned: dict[Path, dict[str, float]] = {}
        self._conditions: dict[str, None] = {}
        for run in runs:
            if run.finished:
                self.add(run)
        self.write()

    def add(self, run: PlannedRun) -> None:
        """Add the result of a finished run."""
        try:
            attempts = Attempts.load(run)
            result = read_result(run.path, self.store, attempts.seconds)
            if self.settings.tuning is not None:
                cache = run.beside(".tuned.json")
                self._tuned[run.path] = read_tuned(run.path, self.store, self.settings.tuning, cache)
        except UserError as error:
            self.failures[str(run)] = str(error)
            return
        self._results[run.path] = result
        self._conditions |= dict.fromkeys(a.conditions for a in attempts.attempts)

    def write(self) -> None:
        """Write both tables."""
        write_text(self.out / "table.md", self.markdown())
        about = f"measured, {self._made_up or self.store.about}"
        write_text(self.out / "table.csv", as_csv(self._systems(), about))

    def markdown(self) -> str:
        """Return the table as Markdown."""
        store, failed = self.store, [f"failed: {name}: {reason}" for name, reason in self.failures.items()]
        sizes = ", ".join(f"{len(store.select(split))} {split}" for split in ("train", "val", "test"))
        about = f" ({self._made_up} data)" if self._made_up else ""
        caption = (
            f"**{self.settings.title}**{about}. Scores on the test split and noise left (wrong labels among those "
            f"trained on), percent, mean ± sample standard deviation over seeds. "
            f"Data: {store.about}, version {store.fingerprint}; {sizes} videos. "
            f"Wall time of whole processes ({'; '.join(self._conditions) or 'none yet'}), ratio to the first row."
        )
        return as_markdown(self._systems(), caption, failed)

    @property
    def _made_up(self) -> MadeUp:
        return made_up(self.store.manifest.description)

    def _systems(self) -> list[System]:
        systems = []
        for row in self.settings.rows:
            runs = [run for run in self.runs if run.row is row]
            results = [self._results[run.path] for run in runs if run.path in self._results]
            tuned = [self._tuned[run.path] for run in runs if run.path in self._tuned]
            systems.append(System(row.name, len(runs), row.published, row.note, results, tuned))
        return systems
