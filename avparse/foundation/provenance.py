"""Where a run comes from: the commit, the libraries, the machine, the date and the command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import avparse
from avparse.foundation.settings import Settings

_LIBRARIES = ("torch", "numpy", "lightning-fabric", "safetensors", "pyarrow", "av")


class Provenance(Settings):
    """What a run was made by; nothing of it changes what is learned.

    Attributes:
        created: date and time in UTC, ISO 8601.
        command: the command line of the program.
        commit: the commit of the source tree, with ``+changes`` where it has uncommitted ones; empty for an installed
            package.
        python: the version of Python.
        libraries: name -> version of what computes and stores.
        machine: system, processor and number of cores.
    """

    created: str
    command: str
    commit: str
    python: str
    libraries: dict[str, str]
    machine: str

    @classmethod
    def here(cls) -> Provenance:
        """Return the provenance of what this program makes now."""
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(sys.argv),
            commit=_commit(),
            python=platform.python_version(),
            libraries={name: found for name in _LIBRARIES if (found := _version(name))},
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


@cache
def _commit() -> str:
    """Return the commit of the checkout that the package lies in, empty where it lies in none."""
    root = Path(avparse.__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        commit, changes = (
            subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, timeout=5, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit.strip() + ("+changes" if changes.strip() else "")
