"""Published networks from local files: found, checked, loaded without unpickling, and known by their digest."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from avparse.foundation.errors import UserError
from avparse.foundation.extras import library
from avparse.foundation.files import sha256_of
from avparse.foundation.reading import read_json
from avparse.media.card import library_versions
from avparse.media.weights.hub import SAFETENSORS, find_model

_EXTRA = ("teachers", "CLIP and CLAP")  # of this package, and what needs it
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a network of ``transformers`` and its weights as safetensors.

    Attributes:
        name: name by which it was requested.
        folder: folder of its files.
        model_type: type of the model, from ``config.json``.
    """

    name: str
    folder: Path
    model_type: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights: of the file, or of the digests of its parts where there are several."""
        found = {path.name: sha256_of(path) for path in sorted(self.folder.glob(SAFETENSORS))}
        if len(found) == 1:
            return next(iter(found.values()))
        return hashlib.sha256("\n".join(f"{value}  {name}" for name, value in found.items()).encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return the fields of the card of a stream that this network makes."""
        return {
            "network": self.model_type,
            "weights_sha256": self.digest,
            "libraries": library_versions("av", "numpy", "torch", "transformers"),
        }

    def load(self, network: str) -> Any:
        """Return the network of class ``network``, frozen, in float32 and evaluation mode.

        Raises:
            UserError: the checkpoint cannot be read, or weights are missing.
        """
        transformers = library("transformers", *_EXTRA)
        with _quiet(transformers), torch.random.fork_rng(devices=[]), self._reading():
            model, report = getattr(transformers, network).from_pretrained(
                self.folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
        # The library would fill them with random numbers.
        self._refuse_missing(sorted(set(report["missing_keys"]) & {name for name, _ in model.named_parameters()}))
        return model.float().eval().requires_grad_(False)

    def built(self, build: Callable[[Any], Any], find: Callable[[str, Mapping[str, Any]], str | None]) -> Any:
        """Return a network that the library cannot load itself, frozen, in float32 and evaluation mode.

        Args:
            build: makes the network from the library, without weights.
            find: the name in the files of a parameter of the network, given all that are there; None if there is none.

        Raises:
            UserError: the checkpoint cannot be read, or weights are missing.
        """
        transformers = library("transformers", *_EXTRA)
        with _quiet(transformers), torch.random.fork_rng(devices=[]), self._reading():
            with library("transformers.initialization", *_EXTRA).no_init_weights():
                model = build(transformers)
            files: list[Any] = [safe_open(path, framework="pt") for path in sorted(self.folder.glob(SAFETENSORS))]
            there = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (not a dictionary)
            parameters, buffers = ([name for name, _ in x] for x in (model.named_parameters(), model.named_buffers()))
            sources = {name: find(name, there) for name in (*parameters, *buffers)}
            taken = {name: there[source].get_tensor(source) for name, source in sources.items() if source is not None}
            self._refuse_missing([name for name in parameters if name not in taken])
            model.load_state_dict(taken, strict=False)
        return model.float().eval().requires_grad_(False)

    def _refuse_missing(self, missing: Sequence[str]) -> None:
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(f"{self.folder}: the weights lack '{missing[0]}'{more}; get the files again")

    def part(self, kind: str) -> Any:
        """Return the tokenizer, feature extractor or configuration that class ``kind`` reads from the folder.

        Raises:
            UserError: a file of the checkpoint is missing or bad.
        """
        transformers = library("transformers", *_EXTRA)
        with _quiet(transformers), self._reading():
            return getattr(transformers, kind).from_pretrained(self.folder, local_files_only=True)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # the libraries raise what they like at bad files
            raise UserError(
                f"{self.folder}: cannot be read as a model ({_one_line(error)}); get the files again"
            ) from None


def find_checkpoint(name: str, *model_types: str) -> Checkpoint:
    """Find a network: a local folder, or the name of a published one, from the offline cache or else the hub.

    Args:
        name: name of the folder or of the model.
        *model_types: accepted types of the model, such as ``clip``.

    Raises:
        UserError: the checkpoint does not exist, is of another type, or has no safetensors weights.
    """
    folder = find_folder(name)
    found = _model_type(folder)
    if found not in model_types:
        wanted = " or ".join(f"'{kind}'" for kind in model_types)
        raise UserError(f"{name}: a model of type '{found}', not {wanted}; name another checkpoint")
    if not any(folder.glob(SAFETENSORS)):
        pickled = next((p.name for pattern in _PICKLED for p in sorted(folder.glob(pattern))), None)
        what = "no model.safetensors there" if pickled is None else f"only '{pickled}' there, which is never unpickled"
        raise UserError(
            f"{name}: {what}; convert its weights (docs/methods/pseudo_labels.md, 'Weights') and give that folder"
        )
    return Checkpoint(name, folder, found)


def find_folder(name: str) -> Path:
    """Return the folder of a model: a local one, or that of a published one, from the offline cache or else the hub.

    Raises:
        UserError: there is no such folder.
    """
    local = Path(name).expanduser()
    if not local.is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise UserError(f"{name}: no such folder of a model; check the path")
    return local if local.is_dir() else find_model(name)


def _model_type(folder: Path) -> str:
    path = folder / "config.json"
    try:
        return str(read_json(path)["model_type"])
    except (UserError, KeyError, TypeError):
        raise UserError(f"{path}: missing, or not that of a model; give the folder that holds the model") from None


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's reports and bars off the terminal; what matters in them is checked here."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _one_line(error: BaseException) -> str:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {reason}"[:160]
