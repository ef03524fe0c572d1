"""Features that a job of many files has extracted so far, kept until it is done, so that a stopped one goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from avparse import __version__
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_bytes
from avparse.foundation.reading import parse_json
from avparse.media.decoding.problems import MediaWarning
from avparse.media.pipeline import Extracted

_STREAM = "stream."


class FeatureCache:
    """A file for each video in ``folder``; one counts while video, extractor, segments and avparse are the same.

    Args:
        folder: made when something is kept.
        extractor: name of the extractor, or the name of each stream with that of its extractor.
        segment_seconds: length of a segment.
    """

    def __init__(self, folder: Path, extractor: str | Mapping[str, str], segment_seconds: float) -> None:
        if folder.is_symlink():
            raise UserError(f"{folder}: a link stands there, which would be written through; remove it")
        self._folder, self._segment_seconds = folder, segment_seconds
        self._extractor = json.dumps(extractor, sort_keys=True)

    def __contains__(self, path: Path) -> bool:
        """Whether features of the video at ``path``, as it is now, are kept."""
        return self._made(path) is not None

    def find(self, path: Path) -> Extracted | None:
        """Return what was kept of the video at ``path``; None if nothing was, or the video has changed since."""
        made = self._made(path)
        if made is None:
            return None
        try:
            tensors = load_file(self._file(path))
            return Extracted(
                video=path.stem,
                path=str(path),
                duration_s=made["duration_s"],
                origin_s=made["origin_s"],
                warnings=tuple(MediaWarning.read(warning) for warning in made["warnings"]),
                streams={n.removeprefix(_STREAM): x for n, x in tensors.items() if n.startswith(_STREAM)},
                audio_present=tensors["audio_present"],
                visual_present=tensors["visual_present"],
            )
        except (OSError, SafetensorError, KeyError, TypeError):  # gone or damaged meanwhile
            return None

    def keep(self, extracted: Extracted) -> None:
        """Keep the features of a video, atomically; not of one that is gone meanwhile.

        Raises:
            UserError: the disk refuses.
        """
        path = Path(extracted.path)
        try:
            made = {"of": self._identity(path), "duration_s": extracted.duration_s, "origin_s": extracted.origin_s}
        except OSError:
            return
        made["warnings"] = [warning.as_dict() for warning in extracted.warnings]
        tensors: dict[str, npt.NDArray[Any]]
        tensors = {f"{_STREAM}{name}": np.ascontiguousarray(x) for name, x in extracted.streams.items()}
        tensors |= {"audio_present": extracted.audio_present, "visual_present": extracted.visual_present}
        write_bytes(self._file(path), save(tensors, metadata={"made": json.dumps(made)}))

    def remove(self) -> None:
        """Remove the folder: the job is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, path: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]}.safetensors"

    def _made(self, path: Path) -> dict[str, Any] | None:
        """Return what was kept beside the arrays, None where it is not of the video as it is now."""
        try:
            with safe_open(self._file(path), framework="numpy") as file:
                made: dict[str, Any] = parse_json(file.metadata()["made"], str(path))
            return made if made["of"] == self._identity(path) else None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):  # none, or not one of ours
            return None

    def _identity(self, path: Path) -> list[str | float]:
        status = path.stat()
        return [__version__, self._extractor, self._segment_seconds, status.st_size, status.st_mtime_ns]
