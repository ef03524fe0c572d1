"""Logs of a run or a denoiser: lines of JSON, and TensorBoard curves."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text, writing
from avparse.foundation.reading import RECORDS, parse_json, read_bytes, read_text

_log = logging.getLogger(__name__)

LOG = "metrics.jsonl"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; half a line at its end, of a job that was killed, is left out.

    Raises:
        UserError: a line is damaged.
    """
    rows: list[dict[str, Any]] = []
    lines = read_text(path, RECORDS.size).splitlines(keepends=True) if path.is_file() else []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            break
        try:
            row = parse_json(line, str(path), nan=True)
        except UserError:
            row = None
        if not isinstance(row, dict):
            raise UserError(f"{path}: line {number} is damaged; remove it")
        rows.append(row)
    return rows


class JsonLines:
    """A file with one JSON object per line; each line is on the disk when :meth:`write` returns.

    Args:
        path: path of the file. Existing lines are kept as long as each counts higher than the one before; a partial
            line that a killed job left, and lines that are not of this log, are removed with a warning.
        by: key that counts the lines.
        keep: value of that key from which on existing lines are dropped, because the resumed job repeats them.
    """

    def __init__(self, path: Path, by: str, keep: int) -> None:
        self._path = path
        kept, foreign, last = [], 0, -1
        text = read_bytes(path, RECORDS.size).decode("utf-8", "replace") if path.is_file() else ""
        for line in text.splitlines(keepends=True):
            count = _count(line, by)
            if count is None or count <= last:
                foreign += 1
            elif count < keep:
                kept.append(line)
                last = count
        if foreign:
            _log.warning("%s: %d lines were torn, repeated or not of this log, and are removed", path, foreign)
        write_text(path, "".join(kept))

    def write(self, values: Mapping[str, float]) -> None:
        """Append a line."""
        with writing(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _count(line: str, by: str) -> int | None:
    """Return the number by which a line counts, None where it is no whole line of such a log."""
    try:
        values = parse_json(line, "a line", nan=True) if line.endswith("\n") else None
    except UserError:
        return None
    count = values.get(by) if isinstance(values, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


class RunLog:
    """Writes an epoch's metrics to ``metrics.jsonl`` and, where TensorBoard is installed, to ``tensorboard/``.

    A resumed run first cuts both back to the checkpoint, so that no epoch is logged twice.

    Args:
        folder: path of the run folder.
        keep_epochs: number of first epochs whose lines are kept.
    """

    def __init__(self, folder: Path, keep_epochs: int = 0) -> None:
        self._lines = JsonLines(folder / LOG, "epoch", keep_epochs)
        self._curves: Any = None
        self._folder = folder / "tensorboard"
        if importlib.util.find_spec("tensorboard") is not None:  # optional and slow to import, so loaded only here
            tensorboard = importlib.import_module("torch.utils.tensorboard.writer")
            with writing(self._folder):
                self._curves = tensorboard.SummaryWriter(str(self._folder), purge_step=keep_epochs or None)

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Append the metrics of one epoch."""
        self._lines.write({"epoch": epoch, **values})
        if self._curves is not None:
            with writing(self._folder):
                for name, value in values.items():
                    self._curves.add_scalar(name, value, epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._curves is not None:
            with writing(self._folder):
                self._curves.close()
