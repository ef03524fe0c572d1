"""What a network of texts makes of material in which nothing happens: the offset that each class has of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from avparse.foundation.arrays import Float32Array
from avparse.foundation.files import scratch_folder, write_bytes
from avparse.media.synthesis.render import Scene, render_video
from avparse.media.towers.tower import Tower
from avparse.media.weights.cache import weights_folder

_VERSION = 1  # of the material
_VIDEOS = 4  # of one second each, because a large network takes its time


def unrelated_mean(tower: Tower) -> Float32Array:
    """Return the mean embedding ``[dimension]`` of drawn videos without events (as SCoPE does with found material).

    It is kept in the cache of weights, because it depends on nothing but the network and its settings.

    Raises:
        UserError: the cache cannot be written.
    """
    digest = hashlib.sha256(f"{_VERSION} {tower.modality} {tower.identity}".encode()).hexdigest()[:16]
    path = weights_folder().parent / "unrelated" / f"{digest}.safetensors"
    kept = _read(path)
    if kept is not None and kept.shape == (tower.dimension,):
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent) as folder:
        each = [embedding for seed in range(_VIDEOS) for embedding in _embedded(tower, folder / f"{seed}.mp4", seed)]
    mean: Float32Array = np.concatenate(each).mean(axis=0, dtype=np.float32)
    write_bytes(path, save({"mean": mean}))
    return mean


def _embedded(tower: Tower, path: Path, seed: int) -> list[Float32Array]:
    """Return the embeddings of a video with a moving backdrop and background noise alone."""
    nothing = np.zeros((1, 0), dtype=bool)
    render_video(path, Scene((), nothing, nothing), seed)
    return [tower.embed(piece) for piece in tower.pieces(path, 1.0, 1)]


def _read(path: Path) -> Float32Array | None:
    try:
        mean: Float32Array = load(path.read_bytes())["mean"]
    except (OSError, SafetensorError, KeyError):
        return None
    return mean
