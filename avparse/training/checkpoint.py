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
kept as a fallback. A damaged one is renamed to ``damaged-NAME``. Nothing is pickled.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder, sha256_of, sweep, write_json, write_text
from avparse.foundation.platform import sync_folder
from avparse.foundation.reading import RECORDS, read_json

_log = logging.getLogger(__name__)
_KEPT = 2
_TENSORS = ("weights", "optimizer", "rng", "extra")
_FILES = frozenset({*(f"{kind}.safetensors" for kind in _TENSORS), "state.json"})


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
    if target.exists() and (damage := _damage(target)) is not None:
        _set_aside(target, damage)
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

    A damaged checkpoint is reported and renamed, and the previous one is used; leftovers of an interrupted save are
    removed. No other process may write to the folder meanwhile.

    Raises:
        UserError: there are checkpoints, but none is complete.
    """
    sweep(folder, locked=True)
    damaged: list[tuple[Path, str]] = []
    for path in reversed(_checkpoints(folder)):
        damage = _damage(path)
        if damage is None:
            for other, reason in damaged:
                _log.warning("%s: %s; falling back to the checkpoint before it", other, reason)
                _set_aside(other, reason)
            tensors = {k: load_file(path / f"{k}.safetensors") for k in _TENSORS}
            return Checkpoint(**tensors, state=read_json(path / "state.json", RECORDS))
        damaged.append((path, damage))
    if damaged:
        raise UserError(
            f"{folder}: no checkpoint is complete ({damaged[0][0].name}: {damaged[0][1]}); "
            "remove the folder to train from the start"
        )
    return None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*-[0-9]*") if re.fullmatch(r"\d{6,}-\d{5,}", p.name) and p.is_dir())


def _set_aside(path: Path, damage: str) -> None:
    """Rename a damaged checkpoint, so that it is neither counted nor in the way of a whole one."""
    aside = path.with_name(f"damaged-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    sync_folder(path.parent)


def _damage(path: Path) -> str | None:
    """Return what is wrong with a checkpoint, None if nothing is."""
    try:
        manifest = read_json(path / "MANIFEST.json")
        for name in sorted(_FILES):
            if sha256_of(path / name) != manifest[name]["sha256"]:
                return f"{name} is damaged"
    except (OSError, UserError, KeyError, TypeError) as error:
        return f"cannot be read ({error})"
    return None
