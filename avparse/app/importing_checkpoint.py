"""Published weights become a run, which can be evaluated, parse videos, and start a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avparse import __version__
from avparse.data.batching import task_spec
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.foundation.settings import lookup
from avparse.models.official import OFFICIAL, ignored_names, load_official
from avparse.models.parser import build_parser
from avparse.models.weights import load_weights, read_weights
from avparse.training.recipe import Recipe, apply_change, load_recipe, shipped_recipes
from avparse.training.run import Run, RunInfo


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        run: the new run.
        used: numbers that its parser holds.
        unused: official names of tensors that never act, and were left out.
    """

    run: Run
    used: int
    unused: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.run.path}: {self.run.recipe.title}, {self.used:,} parameters"]
        if self.unused:
            lines.append(f"left out, as the released network never uses them: {', '.join(self.unused)}")
        return "\n".join(lines)


def import_checkpoint(
    file: Path,
    system: str,
    out: Path,
    *,
    recipe: str | None = None,
    store: FeatureStore | None = None,
    changes: Sequence[str] = (),
) -> Imported:
    """Make a run of a released network's weights.

    Args:
        file: a state dict, as ``torch.save`` or safetensors wrote it.
        system: which network it is, a name in :data:`avparse.models.official.OFFICIAL`.
        out: the run folder, new.
        recipe: whose decoding and training settings the run gets; by default the shipped one of that system.
        store: data like those that the network was trained on, for names of classes and streams; LLP's by default.
        changes: settings to replace, each ``key.of.setting=value``, such as thresholds that weights do not hold.

    Raises:
        UserError: the file is refused (see :func:`read_weights`), its tensors are not the system's, or the run exists.
    """
    lookup(OFFICIAL, system, "system")
    if out.exists():
        raise UserError(f"{out}: exists already; choose another name or remove it")
    weights = read_weights(file)
    try:
        official = load_official(system, weights)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    spec = official.spec if store is None else _spec_of(store, official.spec)
    settings = _recipe(recipe or _recipe_of(system), official.config.model_dump(mode="json"), changes)
    parser = build_parser(settings.parser, spec, settings.training.cross)
    load_weights(parser, official.state_dict(), str(file))
    checksum = sha256_of(file)
    info = RunInfo(
        version=__version__,
        seed=0,
        spec=spec,
        data=str(file),
        fingerprint=checksum,
        description=f"weights of '{system}' imported from {file.name} (SHA-256 {checksum[:12]})",
    )
    run = Run.of_parser(out, settings, info, parser)
    return Imported(run, sum(p.numel() for p in parser.parameters()), tuple(ignored_names(system, weights)))


def _recipe_of(system: str) -> str:
    """Return the shipped recipe whose name the system's begins with."""
    name = system.replace("_", "-")
    found = max((r for r in shipped_recipes() if f"{name}-".startswith(f"{r}-")), key=len, default=None)
    if found is None:
        raise UserError(f"system '{system}' has no recipe of its name; choose one with --recipe")
    return found


def _recipe(name: str, parser: dict[str, object], changes: Sequence[str]) -> Recipe:
    """Return a recipe with another parser; labels and epochs of two halves are the training's, which is over."""
    values = load_recipe(name).model_dump(mode="json")
    values |= {"parser": parser, "denoiser": None, "pseudo_labels": None, "tuning": None}
    values["title"] = f"{values['title']}, published weights"
    values["training"]["select_visual"] = None
    for change in changes:
        apply_change(values, change)
    return Recipe.read(values, f"recipe '{name}'")


def _spec_of(store: FeatureStore, official: TaskSpec) -> TaskSpec:
    spec = task_spec(store)
    if len(spec.classes) != len(official.classes):
        raise UserError(f"{store.path}: has {len(spec.classes)} classes, the weights are of {len(official.classes)}")
    if set(spec.classes) == set(LLP_CLASSES) and spec.classes != LLP_CLASSES:
        raise UserError(f"{store.path}: has LLP's classes in another order than published weights; import LLP again")
    return spec
