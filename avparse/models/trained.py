"""The trained parser of a run folder, with all that parsing a file needs and without training code.

These files of a run are read (``avparse/training/run.py`` lists all of them)::

    RUN/
        run.json              seed, data version, what the parser knows of the data, avparse version
        recipe.yaml           of the recipe: title, parser, decoding rule, training.cross and training.select_visual
        decoding.json         the decoding rule with thresholds tuned on validation; it wins over the recipe's
        parser.safetensors    weights of the best epoch
        visual.safetensors    weights for the visual modality, where the recipe selects its epoch separately
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import ConfigDict
from torch import Tensor

from avparse.data.features import TaskSpec
from avparse.data.made_up import MadeUp, made_up
from avparse.foundation.errors import UserError
from avparse.foundation.provenance import Provenance
from avparse.foundation.reading import read_json, read_yaml
from avparse.foundation.settings import PartConfig, Settings, part_of
from avparse.models.decoding import DecodingRule
from avparse.models.parsers import PARSERS, AnyParser, SplitParser
from avparse.models.parsers.build import build_parser
from avparse.models.weights import load_weights, read_sealed


class RunInfo(Settings):
    """Content of ``run.json``.

    Attributes:
        version: version of avparse that made the run.
        seed: seed of initialisation, order of batches and dropout.
        spec: classes, streams and segment length that the parser was built for.
        data: path of the store, as given.
        fingerprint: version of the store.
        features_version: version of the features of the store; empty for a run of an earlier version.
        annotations_version: version of the annotations of the store; empty for a run of an earlier version.
        description: the store's own description, which marks simulated data.
        provenance: commit, libraries, machine, date and command; None for a run of an earlier version.
        threads: number of threads that computed when the run was begun, because sums over several threads are rounded
            differently. None for a run of an earlier version, and for imported weights.
        sealed: whether every weight file of the run has a digest; those of earlier versions do not.
    """

    version: str
    seed: int
    spec: TaskSpec
    data: str
    fingerprint: str
    features_version: str = ""
    annotations_version: str = ""
    description: str = ""
    provenance: Provenance | None = None
    threads: int | None = None
    sealed: bool = False


class _Training(Settings):
    model_config = ConfigDict(extra="ignore")

    select_visual: str | None = None
    cross: bool = True


class _Recipe(Settings):
    """The settings of a recipe that parsing needs; the whole recipe was validated when the run was made."""

    model_config = ConfigDict(extra="ignore")

    title: str
    parser: Annotated[PartConfig, *part_of(PARSERS, "parser", default="composed")]
    decoding: DecodingRule = DecodingRule()
    training: _Training = _Training()


@dataclass(frozen=True)
class TrainedParser:
    """The parser of a run folder, with its decoding rule and origin.

    Attributes:
        path: path of the run folder.
        title: title of the recipe.
        config: settings of the parser.
        rule: decoding rule that turns probabilities into decisions.
        info: content of ``run.json``, such as classes, streams and the data that the parser was trained on.
        cross: whether the parser was trained with cross-modal attention.
        halves: names of the weight files: one parser for both modalities, or one for audio and one for visual.
    """

    path: Path
    title: str
    config: PartConfig
    rule: DecodingRule
    info: RunInfo
    cross: bool = True
    halves: tuple[str, ...] = ("parser",)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TrainedParser:
        """Read the description of a run's parser; :meth:`load` reads the weights.

        Raises:
            UserError: the folder is not a run folder, or one of its files is damaged.
        """
        folder = Path(path)
        info = read_run_info(folder)
        file, tuned = folder / "recipe.yaml", folder / "decoding.json"
        recipe = _Recipe.read(read_yaml(file), str(file))
        rule = DecodingRule.read(read_json(tuned), str(tuned)) if tuned.is_file() else recipe.decoding
        halves = ("parser",) if recipe.training.select_visual is None else ("parser", "visual")
        return cls(folder, recipe.title, recipe.parser, rule, info, recipe.training.cross, halves)

    @property
    def trained_on(self) -> MadeUp:
        """Kind of data that the parser was trained on: "simulated", "synthetic", or empty for real data."""
        return made_up(self.info.description)

    @property
    def origin(self) -> str:
        """The run folder, as messages name it."""
        return str(self.path)

    @property
    def note(self) -> str:
        """No remark."""
        return ""

    @property
    def judged_by(self) -> dict[str, str]:
        """Nothing: the run stands for both modalities."""
        return {}

    def unjudged(self, modality: str) -> tuple[str, ...]:
        """Return no class: a trained parser judges all of its classes in both modalities."""
        return ()

    @property
    def spec(self) -> TaskSpec:
        """Classes, streams and segment length that the parser was built for."""
        return self.info.spec

    def load(self, device: torch.device | str = "cpu") -> AnyParser:
        """Return the parser with its weights, in evaluation mode; two halves as one parser.

        Raises:
            UserError: the run has no weights yet, or they are damaged or of another parser.
        """
        networks = [self._network(half) for half in self.halves]
        parser = networks[0] if len(networks) == 1 else SplitParser(*networks)
        return parser.to(device).eval()

    def weights(self, half: str = "parser") -> dict[str, Tensor]:
        """Return the trained weights by name, of the parser or of its ``visual`` half.

        Raises:
            UserError: there are no weights yet, or the file is damaged.
        """
        path = self.path / f"{half}.safetensors"
        if not path.is_file():
            raise UserError(f"{self.path}: no trained parser yet; finish it with 'avparse train --resume'")
        return read_sealed(path, self.info.sealed)

    def _network(self, half: str) -> AnyParser:
        weights = self.weights(half)
        parser = build_parser(self.config, self.spec, self.cross)
        load_weights(parser, weights, str(self.path / f"{half}.safetensors"))
        return parser


def read_run_info(folder: Path) -> RunInfo:
    """Read ``run.json`` of a run folder.

    Raises:
        UserError: the folder is not a run folder, or the file is damaged.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise UserError(f"{folder}: not a run folder (no run.json); make one with 'avparse train'")
    return RunInfo.read(read_json(path), str(path))
