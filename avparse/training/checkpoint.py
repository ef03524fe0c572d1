"""Checkpoints of a training run, each either complete or absent.

Layout, under the run's ``checkpoints`` folder::

    000012-00000/            epoch 12, no step of it done
        weights.safetensors
        optimizer.safetensors
        rng.safetensors
        extra.safetensors    what else changes: refiners with a memory
        state.json
        MANIFEST.json        names, sizes and SHA-256 of the others
    last                     the name of the newest one

A checkpoint is built under a temporary name and renamed; ``last`` is replaced by a rename. The previous checkpoint is
kept as a fallback. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder, sha256_of, write_json, write_text

_log = logging.getLogger(__name__)
_KEPT = 2
_TENSORS = ("weights", "optimizer", "rng", "extra")


@dataclass
class Checkpoint:
    """State from which a run continues as if it had never stopped.

    Attributes:
        weights: parameters and buffers by name.
        optimizer: tensors by ``INDEX.KEY``, where INDEX is the parameter's position.
        rng: state of each random generator by name.
        extra: further tensors by name, such as the state of refiners.
        state: position and history of the training, as JSON values.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    rng: dict[str, Tensor]
    state: dict[str, Any]
    extra: dict[str, Tensor] = field(default_factory=dict)


def capture(model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> Checkpoint:
    """Return all that the next training step depends on."""
    moments = optimizer.state_dict()["state"]
    rng = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        rng |= {f"cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return Checkpoint(
        weights={k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()},
        optimizer={f"{i}.{k}": v.detach().cpu().contiguous() for i, s in moments.items() for k, v in s.items()},
        rng=rng,
        state=dict(state),
    )


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load a checkpoint into a model and an optimiser that were built from the same recipe."""
    model.load_state_dict(checkpoint.weights)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in checkpoint.optimizer.items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(checkpoint.rng["cpu"])
    if torch.cuda.is_available():
        for name, value in checkpoint.rng.items():
            if name.startswith("cuda"):
                torch.cuda.set_rng_state(value, int(name.removeprefix("cuda")))


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Add a checkpoint to ``folder`` and remove all but the newest two.

    Raises:
        UserError: the checkpoint cannot be written; the older ones are not changed.
    """
    name = f"{checkpoint.state['epoch']:06d}-{checkpoint.state['step']:05d}"
    target = folder / name
    if not target.exists():
        with atomic_folder(target) as temporary:
            for kind in _TENSORS:
                # Written as bytes, because the library's own file writer hides the reason of a failure.
                (temporary / f"{kind}.safetensors").write_bytes(save(getattr(checkpoint, kind)))
            write_json(temporary / "state.json", checkpoint.state)
            files = sorted(temporary.iterdir())
            manifest = {f.name: {"bytes": f.stat().st_size, "sha256": sha256_of(f)} for f in files}
            write_json(temporary / "MANIFEST.json", manifest)
    write_text(folder / "last", name + "\n")
    for old in _checkpoints(folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest complete checkpoint of ``folder``, or None if there is none.

    A damaged checkpoint is reported and the previous one is used; leftovers of an interrupted save are removed.

    Raises:
        UserError: there are checkpoints, but none is complete.
    """
    for leftover in folder.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    found = _checkpoints(folder)
    for path in reversed(found):
        damage = _damage(path)
        if damage is None:
            tensors = {k: load_file(path / f"{k}.safetensors") for k in _TENSORS}
            return Checkpoint(**tensors, state=json.loads((path / "state.json").read_text(encoding="utf-8")))
        _log.warning("%s: %s; falling back to the checkpoint before it", path, damage)
    if found:
        raise UserError(f"{folder}: no checkpoint is complete; remove the folder to train from the start")
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*-[0-9]*") if p.is_dir())


def _damage(path: Path) -> str | None:
    try:
        manifest = json.loads((path / "MANIFEST.json").read_text(encoding="utf-8"))
        for name, expected in manifest.items():
            if sha256_of(path / name) != expected["sha256"]:
                return f"{name} is damaged"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot be read ({error})"
    return None
