"""What a run or a denoiser tells of itself as it goes: lines of JSON, and TensorBoard curves."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from avparse.foundation.files import write_text, writing


class JsonLines:
    """A file of one JSON object a line, on the disk when :meth:`write` returns.

    Args:
        path: the file; lines that are there already stay, but for half a line that a killed job left.
        by: the key that counts.
        keep: lines where it is as high or higher are dropped first: the job that goes on repeats them.
    """

    def __init__(self, path: Path, by: str, keep: int) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        write_text(path, "".join(line for line in lines if line.endswith("\n") and json.loads(line)[by] < keep))

    def write(self, values: Mapping[str, float]) -> None:
        """Add a line."""
        with writing(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())


class RunLog:
    """Writes an epoch's metrics to ``metrics.jsonl`` and, where TensorBoard is installed, to ``tensorboard/``.

    A resumed run first cuts both back to the checkpoint, so that no epoch is logged twice.

    Args:
        folder: the run folder.
        keep_epochs: epochs before this one stay.
    """

    def __init__(self, folder: Path, keep_epochs: int = 0) -> None:
        self._lines = JsonLines(folder / "metrics.jsonl", "epoch", keep_epochs)
        self._curves: Any = None
        if importlib.util.find_spec("tensorboard") is not None:  # optional and slow to import: loaded only here
            tensorboard = importlib.import_module("torch.utils.tensorboard.writer")
            self._curves = tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=keep_epochs or None)

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add the metrics of one epoch."""
        self._lines.write({"epoch": epoch, **values})
        if self._curves is not None:
            for name, value in values.items():
                self._curves.add_scalar(name, value, epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._curves is not None:
            self._curves.close()
