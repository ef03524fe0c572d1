"""Recipes: one YAML file names the parts of a system and their settings; a run adds a seed and the data."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from avparse.evaluation.comparison import SELECTABLE
from avparse.evaluation.decoding_tuning import DecodingTuning
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.reading import SETTINGS, parse_yaml, read_text
from avparse.foundation.settings import PartConfig, Settings, build, part_of, read_part
from avparse.labels.pseudo import PSEUDO_LABELS
from avparse.labels.target_sources import TARGET_SOURCES, SmoothingConfig
from avparse.losses import LOSSES
from avparse.models.decoding import DecodingRule
from avparse.models.parsers import PARSERS
from avparse.training.registry import DENOISERS
from avparse.training.schedule import SCHEDULES, AdamConfig

LAST = "last"


class TrainingConfig(Settings):
    """Settings of the training loop.

    Attributes:
        select: validation metric whose best epoch is kept, the later one of equal epochs; ``last`` keeps the last
            epoch. :func:`avparse.evaluation.comparison.validation_metrics` lists the metrics.
        select_visual: validation metric that selects the epoch for visual predictions; the run's parser then consists
            of two epochs (DHHN).
        precision: numeric precision: ``bfloat16`` computes matrix products in bfloat16 and keeps weights and optimiser
            in float32.
        clip_norm: bound on the norm of the gradient of each network (twins and guides separately); None for no bound.
        cross: whether to train with cross-modal attention; without it the modalities never attend to each other.
        keep_checkpoints: whether optimisers and earlier weights, also those of runs that a denoiser trained, stay when
            the run is finished.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: AdamConfig = AdamConfig()
    schedule: Annotated[PartConfig, *part_of(SCHEDULES, "schedule")]
    select: str = "segment_type"
    select_visual: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    clip_norm: float | None = Field(None, gt=0)
    cross: bool = True
    keep_checkpoints: bool = False


class Recipe(Settings):
    """All settings that determine a run, except for its seed and its data.

    Attributes:
        pseudo_labels: settings of the pseudo labels of training segments, made from teachers' scores.
        denoiser: settings of the denoiser that prepares the labels before the parser is trained.
        tuning: settings of the tuning of the trained parser's thresholds on validation; the run then decides by these
            thresholds.
        refined_video: rule of the video-level target where labels were refined: the label as given, the union of the
            labels kept in either modality, or those kept in audio (DHHN's released code).
    """

    title: str
    source: str = ""
    parser: Annotated[PartConfig, *part_of(PARSERS, "parser", default="composed")]
    labels: Annotated[SmoothingConfig, *part_of(TARGET_SOURCES, "target source")]
    pseudo_labels: Annotated[PartConfig | None, *part_of(PSEUDO_LABELS, "pseudo labels", default="teachers")] = None
    denoiser: Annotated[PartConfig | None, *part_of(DENOISERS, "denoiser")] = None
    refined_video: Literal["given", "union", "audio"] = "given"
    losses: tuple[Annotated[PartConfig, *part_of(LOSSES, "loss")], ...] = Field(min_length=1)
    decoding: DecodingRule = DecodingRule()
    tuning: DecodingTuning | None = None
    training: TrainingConfig

    def plain(self, epochs: int | None = None, **training: Any) -> Recipe:
        """Return the recipe without its denoiser, for the parsers that a denoiser trains on the way.

        Args:
            epochs: number of epochs; None: as many as the recipe has.
            **training: further settings of the training loop to replace.
        """
        single = {"epochs": epochs or self.training.epochs, "select_visual": None}
        changed = self.training.model_copy(update={**single, **training})
        return self.model_copy(update={"denoiser": None, "training": changed})

    def as_yaml(self) -> str:
        """Return the recipe as YAML, with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def list_recipes(pattern: str = "*") -> list[str]:
    """Return the names of the recipes that come with the package, in alphabetical order.

    Args:
        pattern: pattern of the names to return; ``*`` stands for any characters and ``?`` for one: ``"rlld*"``,
            ``"*leap*"``.
    """
    folder = resources.files("avparse") / "recipes"
    names = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return fnmatch.filter(names, pattern)


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and validate all of it.

    Args:
        name: path of a YAML file, or name of a shipped recipe.
        changes: settings to replace, each ``key.of.setting=value``, as :func:`apply_change` reads them.

    Raises:
        UserError: there is no such recipe, the file is not YAML, or it has an unknown or bad key; the nearest one is
            offered.

    Example:
        >>> recipe = load_recipe("han", ["training.epochs=10", "losses.bce_audio.weight=2"])
        >>> recipe.training.epochs
        10
    """
    values = _read_yaml(name)
    for change in changes:
        apply_change(values, change)
    recipe = Recipe.read(values, str(name))
    if all(getattr(loss, "after", 0) for loss in recipe.losses):
        raise UserError(f"{name}: every loss starts later ('after'); let one start in the first epoch")
    training = recipe.training
    for key, metric, known in (
        ("select", training.select, (*SELECTABLE, LAST)),
        ("select_visual", training.select_visual, (*SELECTABLE, None)),
    ):
        if metric not in known:
            raise UserError(f"{name}: unknown metric '{metric}' in training.{key}{nearest(str(metric), SELECTABLE)}")
    return recipe


def is_file(name: str | Path) -> bool:
    """Return whether ``name`` means a YAML file and no shipped recipe."""
    path = Path(name)
    return path.suffix in {".yaml", ".yml"} or path.is_file()


def _read_yaml(name: str | Path) -> dict[str, Any]:
    path = Path(name)
    if is_file(name):
        if not path.is_file():
            raise UserError(f"{path}: no such recipe file")
        text = read_text(path, SETTINGS.size, "give a YAML file")
    elif str(name) in list_recipes():
        text = (resources.files("avparse") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise UserError(f"unknown recipe '{name}'{nearest(str(name), list_recipes())}")
    values = parse_yaml(text, str(name))
    if not isinstance(values, dict):
        raise UserError(f"{name}: a recipe is a table of settings")
    return values


def apply_change(values: dict[str, Any], change: str) -> None:
    """Set ``key.of.setting=value`` (a YAML value) in nested ``values``.

    An entry of ``losses`` is addressed by the name of its curve: ``losses.bce_audio.weight=2`` changes the loss that is
    logged as ``loss/bce_audio``.

    Raises:
        UserError: the change does not have that form, or there is no such loss; the nearest one is offered.
    """
    path, equals, text = change.partition("=")
    if not equals:
        raise UserError(f"--set {change}: write it as key=value")
    value = parse_yaml(text, f"--set {change[:60]}", "write the value as YAML")
    *parents, key = path.split(".")
    if len(parents) > SETTINGS.depth:
        raise UserError(f"--set {change[:60]}: settings are not nested {len(parents)} deep; check the key")
    table: Any = values
    for depth, parent in enumerate(parents):
        table = table.setdefault(parent, {}) if isinstance(table, dict) else table[_place(table, parent, change)]
        if not isinstance(table, dict) and not (isinstance(table, list) and parents[: depth + 1] == ["losses"]):
            raise UserError(f"--set {change}: '{parent}' is not a table of settings")
    table[key if isinstance(table, dict) else _place(table, key, change)] = value


def _place(losses: list[Any], name: str, change: str) -> int:
    """Return the position in a recipe's losses of the one that is logged as ``loss/NAME``."""
    configs = [read_part(LOSSES, "loss", entry) for entry in losses]
    labels = [build(LOSSES, config).label for config in configs]
    if name not in labels:
        raise UserError(f"--set {change}: no loss '{name}'{nearest(name, labels)}")
    if labels.count(name) > 1:
        raise UserError(f"--set {change}: several losses are logged as '{name}'; set the list 'losses' as a whole")
    place = labels.index(name)
    if isinstance(losses[place], str):  # a name that stands for its settings
        losses[place] = {"name": losses[place]}
    return place
