"""The table of files without a result, ``skipped.csv``: what was left out and why, also by earlier calls."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avparse import __version__
from avparse.foundation.cells import cell_path, path_cell
from avparse.foundation.errors import UserError
from avparse.foundation.files import writing
from avparse.foundation.rows import read_rows, write_rows
from avparse.media.files import LeftOut

SKIPPED = "skipped.csv"
COLUMNS = ("input", "kind", "reason", "size", "modified", "avparse")
# What may be otherwise although the file is as it was: permissions, a full memory, and what is no file at all.
_PASSING = frozenset({"missing", "link", "special", "folder", "empty", "events", "crash", "no file"})


@dataclass(frozen=True)
class _Row:
    """A row of the table; the last three cells tell whether the file is as it was."""

    kind: str
    reason: str
    state: tuple[str, ...]


class SkippedTable:
    """The table at a path, read when it is made.

    Args:
        path: path of the table, which need not be there.

    Raises:
        UserError: the file is not such a table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, _Row] = {}
        if path.exists():
            try:
                for _, row in read_rows(path, COLUMNS):
                    name, kind, reason, *state = row.values()
                    self._rows[name] = _Row(kind, reason, tuple(state))
            except UserError as error:
                raise UserError(f"{error}; remove or rename the table") from None

    def failed_before(self, path: Path) -> LeftOut | None:
        """Return why an earlier call failed on a file that is unchanged since; None if it is to be tried."""
        row = self._rows.get(path_cell(path))
        if row is None or row.kind in _PASSING or row.state != _state(path):
            return None
        return LeftOut(path, row.kind, row.reason)

    def update(self, done: Iterable[Path], left: Sequence[LeftOut]) -> None:
        """Take up the files that a call left out in place of what was known of them, and write the table.

        Rows of files that have a result now, or are gone, are dropped. Without any row there is no file.

        Raises:
            UserError: the table cannot be written.
        """
        now = {path_cell(one.path): _Row(one.kind, " ".join(one.reason.split()), _state(one.path)) for one in left}
        known = {path_cell(path) for path in done} | set(now)
        kept = {name: row for name, row in self._rows.items() if name not in known and _is_there(name)}
        self._rows = {**kept, **now}
        if self._rows:
            write_rows(self.path, COLUMNS, [(n, r.kind, r.reason, *r.state) for n, r in self._rows.items()])
        else:
            with writing(self.path):
                self.path.unlink(missing_ok=True)


def split_tried(paths: Sequence[Path], table: SkippedTable, again: bool) -> tuple[list[Path], dict[Path, LeftOut]]:
    """Return the files to try, and those on which an earlier call failed and which are unchanged.

    Args:
        paths: paths of files.
        table: table of the files that earlier calls left out.
        again: whether to try all of them, also those that failed before.
    """
    failed = {path: row for path in paths if not again and (row := table.failed_before(path)) is not None}
    return [path for path in paths if path not in failed], failed


def summary(left: Collection[LeftOut], table: Path, most: int = 5) -> list[str]:
    """Return lines about the files that might have been videos, by kind, at most ``most`` of each kind.

    Args:
        left: files that were left out.
        table: path of the table that lists all of them.
        most: number of files to name of each kind.
    """
    lines: list[str] = []
    by_kind: dict[str, list[LeftOut]] = {}
    for one in left:
        if not one.expected:
            by_kind.setdefault(one.kind, []).append(one)
    for kind, those in sorted(by_kind.items()):
        lines += [f"skipped {one.path}: {one.reason.removeprefix(f'{one.path}: ')}" for one in those[:most]]
        if len(those) > most:
            lines.append(f"... and {len(those) - most} more ({kind}); all are in {table}")
    return lines


def _state(path: Path) -> tuple[str, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ("", "", __version__)
    return (str(status.st_size), str(status.st_mtime_ns), __version__)


def _is_there(name: str) -> bool:
    return os.path.lexists(cell_path(name))
