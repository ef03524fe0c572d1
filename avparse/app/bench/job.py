"""One run of a benchmark table in a process of its own; its recipe, log and wall time are stored next to the run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from avparse.app.bench.plan import PlannedRun
from avparse.foundation import platform
from avparse.foundation.files import write_json, write_text
from avparse.foundation.reading import read_json
from avparse.foundation.settings import Settings

AVPARSE = (sys.executable, "-m", "avparse")
_LOG_TAIL_BYTES = 1 << 14


class Attempt(Settings):
    """One process that trained a run, or a part of it.

    Attributes:
        begun: Unix time at which the process started.
        seconds: wall time of the process; None while it runs.
        conditions: description of the processes that shared the machine.
    """

    begun: float
    seconds: float | None = None
    conditions: str


class Attempts(Settings):
    """All processes that trained a run."""

    attempts: tuple[Attempt, ...] = ()

    @classmethod
    def load(cls, run: PlannedRun) -> Attempts:
        """Read the times of a run; an attempt whose launcher was killed is counted up to the last change of its log.

        Raises:
            UserError: the file is damaged.
        """
        path, log = run.beside(".json"), run.beside(".log")
        if not path.is_file():
            return cls()
        found = cls.read(read_json(path, mend="remove it to forget the times"), str(path)).attempts
        alive = log.stat().st_mtime if log.is_file() else 0.0
        ended = [a if a.seconds is not None else _lasted(a, alive) for a in found]
        return cls(attempts=tuple(ended))

    @property
    def seconds(self) -> float | None:
        """Wall time of all attempts together, None if none is known."""
        return sum(a.seconds or 0.0 for a in self.attempts) if self.attempts else None


def _lasted(attempt: Attempt, until: float) -> Attempt:
    return attempt.model_copy(update={"seconds": max(0.0, until - attempt.begun)})


@dataclass(frozen=True)
class Launch:
    """Settings that the processes of a benchmark have in common.

    Attributes:
        data: path of the feature store.
        device: device of the runs, as for ``avparse train``.
        threads: number of threads of one process.
        conditions: description of the processes that share the machine, as stored in :class:`Attempt`.
        program: command that starts a process, without its arguments.
    """

    data: Path
    device: str
    threads: int
    conditions: str
    program: tuple[str, ...]


class Job:
    """A run in progress: in a process of this launcher, or in one that a killed launcher left behind.

    The process inherits a lock on its log, which lasts until the process ends.
    """

    def __init__(self, run: PlannedRun, launch: Launch) -> None:
        self.run, self.launch = run, launch
        self._process: subprocess.Popen[bytes] | None = None
        self._attempts = Attempts()
        self._asked = False

    def poll(self) -> bool:
        """Start as soon as no other process trains the run; return whether the run has ended."""
        if self._process is None:
            return not self._begin()
        if self._process.poll() is None:
            return False
        *before, last = self._attempts.attempts
        self._note(*before, _lasted(last, time.time()))
        return True

    def ask_to_stop(self) -> bool:
        """Ask the process, once, to save a checkpoint and end; return False if it is not a process of this launcher."""
        if self._process is not None and not self._asked:
            platform.ask_to_stop(self._process)
            self._asked = True
        return self._process is not None

    def kill(self) -> None:
        """End the process immediately."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def reason(self) -> str:
        """Return how the process ended and the last line that it wrote."""
        code = self._process.returncode if self._process is not None else 0
        path = self.run.beside(".log")
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return f"{f'exit code {code}' if code >= 0 else f'ended by signal {-code}'} ({path}): {last[:300]}"

    def _begin(self) -> bool:
        """Start the process, or continue waiting for another one; return False if that has finished the run."""
        with open(self.run.beside(".log"), "ab") as log:
            if platform.lock(log) is False:
                return True
            if self.run.finished:
                return False
            before = Attempts.load(self.run).attempts
            recipe = self.run.beside(".yaml")
            write_text(recipe, self.run.recipe.as_yaml())
            self._note(*before, Attempt(begun=time.time(), conditions=self.launch.conditions))
            command = ["train", str(recipe), "--data", str(self.launch.data), "--out", str(self.run.path), "--resume"]
            settings = ["--seed", str(self.run.seed), "--device", self.launch.device]
            self._process = subprocess.Popen(
                [*self.launch.program, *command, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": str(self.launch.threads)},
                **platform.own_group(),  # Ctrl-C reaches the launcher only; a second signal would cost the checkpoint
            )
        return True

    def _note(self, *attempts: Attempt) -> None:
        self._attempts = Attempts(attempts=attempts)
        write_json(self.run.beside(".json"), self._attempts.model_dump(mode="json"))
