"""Run folders.

Layout::

    RUN/
        recipe.yaml           the recipe, every default written out
        run.json              seed, data version, what the parser knows of the data, avparse version
        metrics.jsonl         a line an epoch
        tensorboard/          the same as curves, where TensorBoard is installed
        labels.parquet        refined labels of the training split, where there are any
        denoised/             what the denoiser left on its way to them
        checkpoints/          see training/checkpoint.py
        parser.safetensors    weights of the best epoch
        results.json, .md     scores of the best epoch on the test split
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from avparse import __version__
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_folder, write_bytes, write_json, write_text
from avparse.foundation.settings import Settings
from avparse.labels.table import RefinedLabels
from avparse.models.parser import Parser, TwinParser, build_parser
from avparse.training.recipe import Recipe, load_recipe


class RunInfo(Settings):
    """What ``run.json`` holds.

    Attributes:
        spec: classes, streams and segment length that the parser was built for.
        data: path of the store, as given.
        fingerprint: the store's version.
        description: what the store says of itself; tells simulated data as such.
    """

    version: str
    seed: int
    spec: TaskSpec
    data: str
    fingerprint: str
    description: str = ""


@dataclass(frozen=True)
class Run:
    """A run folder with its recipe and facts."""

    path: Path
    recipe: Recipe
    info: RunInfo

    @classmethod
    def create(
        cls,
        path: str | Path,
        recipe: Recipe,
        seed: int,
        store: FeatureStore,
        spec: TaskSpec,
        labels: RefinedLabels | None = None,
    ) -> Run:
        """Make a new run folder; with ``labels`` they take the place of the recipe's denoiser.

        Raises:
            UserError: the folder exists or cannot be written, or the labels were made for other data.
        """
        folder = Path(path)
        if folder.exists():
            raise UserError(f"{folder}: the run folder exists; resume it with --resume or choose another name")
        if labels is not None:
            labels.rows(store.videos, store.weak)
            recipe = recipe.model_copy(update={"denoiser": None})
        info = RunInfo(
            version=__version__,
            seed=seed,
            spec=spec,
            data=str(store.path),
            fingerprint=store.fingerprint,
            description=store.manifest.description,
        )
        with atomic_folder(folder) as temporary:
            write_text(temporary / "recipe.yaml", recipe.as_yaml())
            write_json(temporary / "run.json", info.model_dump(mode="json"))
            if labels is not None:
                labels.save(temporary / "labels.parquet")
        return cls(folder, recipe, info)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open an existing run folder.

        Raises:
            UserError: it is not one, or a file of it is damaged.
        """
        folder = Path(path)
        if not (folder / "run.json").is_file():
            raise UserError(f"{folder}: not a run folder (no run.json); make one with 'avparse train'")
        try:
            values = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / 'run.json'}: cannot be read ({error})") from None
        return cls(folder, load_recipe(folder / "recipe.yaml"), RunInfo.read(values, str(folder / "run.json")))

    def check_data(self, store: FeatureStore) -> None:
        """Refuse to resume on other data.

        Raises:
            UserError: the store is not the version that the run was started with.
        """
        if store.fingerprint != self.info.fingerprint:
            raise UserError(
                f"{self.path}: was trained on data version {self.info.fingerprint}, {store.path} is version "
                f"{store.fingerprint}; give the original store or start a new run"
            )

    def save_parser(self, parser: Parser | TwinParser) -> None:
        """Write the weights as the run's product, atomically."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in parser.state_dict().items()}
        write_bytes(self.path / "parser.safetensors", save(weights, metadata={"format": "avparse parser 1"}))

    def parser(self, device: torch.device | str = "cpu") -> Parser | TwinParser:
        """Return the trained parser in evaluation mode.

        Raises:
            UserError: the run has no weights yet, or they are damaged or of another parser.
        """
        path = self.path / "parser.safetensors"
        if not path.is_file():
            raise UserError(f"{self.path}: no trained parser yet; finish it with 'avparse train --resume'")
        parser = build_parser(self.recipe.parser, self.info.spec)
        try:
            parser.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError) as error:
            raise UserError(f"{path}: damaged or of another parser ({' '.join(str(error).split())[:200]})") from None
        return parser.to(device).eval()

    def save_results(self, results: dict[str, Any], table: str) -> None:
        """Write the score table as JSON and Markdown."""
        write_json(self.path / "results.json", results)
        write_text(self.path / "results.md", table)
