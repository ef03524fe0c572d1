"""Paths that a command was given, checked before anything that loads slowly is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from avparse.foundation.errors import UserError

_DEPTH, _FOLDERS, _NAMED = 4, 5_000, 5  # how deep and how long runs are looked for, and how many are named
_MAKE_ONE = "make one with 'avparse train' or 'avparse demo'"


def checked_run(run: Path | None) -> Path:
    """Return the run folder that was given.

    Raises:
        UserError: none was given, or it is no run folder; runs below the current folder are named.
    """
    if run is None:
        raise UserError(
            f'give --classes "Dog, Speech" or --examples FOLDER to parse without training, or a trained run: {_known()}'
        )
    if not (run / "run.json").is_file():
        raise UserError(f"--run {run}: not a run folder (no run.json); {_known()}")
    return run


def check_inputs(paths: Sequence[Path]) -> None:
    """Refuse paths none of which exists.

    Raises:
        UserError: nothing is at any of the paths; the first is named.
    """
    if not any(os.path.lexists(path) for path in paths):
        more = f" (nor are {len(paths) - 1} others)" if len(paths) > 1 else ""
        raise UserError(f"{paths[0]}: no such file or folder{more}; check the path")


def _known() -> str:
    found = sorted(_runs(Path()), key=lambda run: (run / "run.json").stat().st_mtime, reverse=True)
    if not found:
        return f"there is no run below the current folder; {_MAKE_ONE}"
    named = ", ".join(f"--run {run}" for run in found[:_NAMED])
    return f"give {named}{', ...' if len(found) > _NAMED else ''} (newest first), or {_MAKE_ONE}"


def _runs(top: Path) -> Iterator[Path]:
    """Yield the run folders below a folder that have a trained parser."""
    for visited, (place, folders, files) in enumerate(os.walk(top)):
        if "run.json" in files:
            folders.clear()
            if "parser.safetensors" in files:
                yield Path(place)
        if visited == _FOLDERS:
            return
        deep = len(Path(place).relative_to(top).parts) >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
