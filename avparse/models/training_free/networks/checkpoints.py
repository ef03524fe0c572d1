"""Whether published models are on this machine."""

from __future__ import annotations

from pathlib import Path

from avparse.media.weights.cache import weights_folder
from avparse.media.weights.hub import HubModel


def is_held(checkpoint: str) -> bool:
    """Return whether a checkpoint is a local folder, or in the cache of the hub."""
    return Path(checkpoint).expanduser().is_dir() or HubModel(checkpoint).held(weights_folder()) is not None
