"""Weights that are a model of the Hugging Face hub: a folder of several files, in the hub's own cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avparse.foundation.errors import UserError
from avparse.foundation.extras import library
from avparse.foundation.files import sha256_of
from avparse.media.weights.offline import is_offline
from avparse.media.weights.source import Source, WrongWeightsError

SAFETENSORS = "model*.safetensors"
_FILES = ["*.json", "*.txt", SAFETENSORS, "*/model.safetensors"]  # what is taken from the hub: never a pickle
_EXTRA = ("teachers", "networks of the hub")


def find_model(name: str) -> Path:
    """Return the folder of a published model, from the hub's cache or else the hub.

    Raises:
        UserError: the model is not in the cache, and cannot be downloaded.
    """
    folder, reason = _snapshot(name, cached=True)
    if folder is None and is_offline():
        reason = "avparse is offline"
    elif folder is None or not any(folder.glob(SAFETENSORS)):
        found, reason = _snapshot(name, cached=False)
        folder = found or folder
    if folder is None:
        raise UserError(
            f"model '{name}': not in the offline cache, and cannot be downloaded ({reason}); "
            "give the folder of a copy as the checkpoint"
        )
    return folder


def _snapshot(name: str, cached: bool) -> tuple[Path | None, str]:
    """Return the folder of a model, or why there is none."""
    hub = library("huggingface_hub", *_EXTRA)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=cached)), ""
    except Exception as error:  # its client raises errors of several libraries
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return None, f"{type(error).__name__}: {reason}"[:160]


@dataclass(frozen=True)
class HubModel(Source):
    """A model of the hub, which keeps and names its own copies.

    Attributes:
        model: name of the model on the hub.
    """

    model: str

    @property
    def origin(self) -> str:
        """The name of the model."""
        return f"model {self.model}"

    def held(self, folder: Path) -> Path | None:
        """Return the folder in the hub's cache, if it has weights."""
        try:
            found, _ = _snapshot(self.model, cached=True)
        except UserError:  # without the library there is no cache
            return None
        return found if found is not None and any(found.glob(SAFETENSORS)) else None

    def check(self, path: Path) -> None:
        """Compare each large file with the digest that the hub's cache names it by.

        Raises:
            WrongWeightsError: the content of a file is another one.
        """
        for file in sorted(path.rglob("*")):
            named = file.resolve().name
            if re.fullmatch(r"[0-9a-f]{64}", named) and sha256_of(file) != named:
                raise WrongWeightsError(f"{file}: not as published (its SHA-256 is another)")

    def fetch(self, folder: Path, size: int) -> Path:
        """Let the hub's client download what is missing."""
        return find_model(self.model)

    def take(self, given: Path, folder: Path) -> Path:
        """Refuse: these weights are no single file."""
        raise UserError(f"'{self.model}' is a folder of several files; give its folder where the checkpoint is named")
