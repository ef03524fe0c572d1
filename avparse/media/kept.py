"""Features that a job of many files has extracted so far, kept until it is done, so that a stopped one goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from avparse.foundation.files import write_bytes
from avparse.media.pipeline import Extracted

_STREAM = "stream."


class KeptFeatures:
    """A file for each video in ``folder``; one counts while the video, its extractor and segments are the same.

    Args:
        folder: made when something is kept.
        extractor: its name.
        segment_seconds: length of a segment.
    """

    def __init__(self, folder: Path, extractor: str, segment_seconds: float) -> None:
        self._folder, self._extractor, self._segment_seconds = folder, extractor, segment_seconds

    def find(self, path: Path) -> Extracted | None:
        """Return what was kept of the video at ``path``; None if nothing was, or the video has changed since."""
        try:
            with safe_open(self._file(path), framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
                made = json.loads((file.metadata() or {})["made"])
            if made.pop("of") != self._identity(path):
                return None
            return Extracted(
                video=path.stem,
                path=str(path),
                duration_s=made["duration_s"],
                warnings=tuple(made["warnings"]),
                streams={n.removeprefix(_STREAM): x for n, x in tensors.items() if n.startswith(_STREAM)},
                audio_present=tensors["audio_present"],
                visual_present=tensors["visual_present"],
            )
        except (OSError, SafetensorError, ValueError, KeyError):  # not kept, or of another version: extract again
            return None

    def keep(self, extracted: Extracted) -> None:
        """Keep the features of a video, atomically; not of one that is gone meanwhile.

        Raises:
            UserError: the disk refuses.
        """
        path = Path(extracted.path)
        try:
            made = {"of": self._identity(path), "duration_s": extracted.duration_s, "warnings": extracted.warnings}
        except OSError:
            return
        tensors: dict[str, npt.NDArray[Any]]
        tensors = {f"{_STREAM}{name}": np.ascontiguousarray(x) for name, x in extracted.streams.items()}
        tensors |= {"audio_present": extracted.audio_present, "visual_present": extracted.visual_present}
        write_bytes(self._file(path), save(tensors, metadata={"made": json.dumps(made)}))

    def remove(self) -> None:
        """Remove the folder: the job is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.safetensors"

    def _identity(self, path: Path) -> list[str | float]:
        status = path.stat()
        return [self._extractor, self._segment_seconds, status.st_size, status.st_mtime_ns]
