"""One line of JSON an epoch, or an episode; epochs as TensorBoard curves, too."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from avparse.foundation.files import write_text, writing


class RunLog:
    """Appends to ``metrics.jsonl`` and, where TensorBoard is installed, to ``tensorboard/``.

    A resumed run first cuts both back to the checkpoint, so that no epoch is logged twice.

    Args:
        folder: the run folder.
        keep_epochs: lines of epochs before this one stay.
    """

    def __init__(self, folder: Path, keep_epochs: int = 0) -> None:
        self._path = folder / "metrics.jsonl"
        with writing(self._path):
            kept = [line for line in self._lines() if json.loads(line)["epoch"] < keep_epochs]
            self._file = open(self._path, "w", encoding="utf-8")  # noqa: SIM115
            self._file.writelines(kept)
            self._flush()
        self._curves: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415 (optional, slow to import)

            self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=keep_epochs or None)

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add the figures of one epoch."""
        with writing(self._path):
            self._file.write(json.dumps({"epoch": epoch, **values}) + "\n")
            self._flush()
        if self._curves is not None:
            for name, value in values.items():
                self._curves.add_scalar(name, value, epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._curves is not None:
            self._curves.close()

    def _lines(self) -> list[str]:
        if not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [line for line in lines if line.endswith("\n")]  # a killed run may leave half a line

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


class EpisodeLog:
    """``episodes.jsonl``: one line an episode; lines of episodes that a resumed run repeats are dropped first."""

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["episode"] < keep]
        write_text(path, "".join(f"{line}\n" for line in kept))

    def write(self, figures: dict[str, float]) -> None:
        """Add the figures of an episode."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
