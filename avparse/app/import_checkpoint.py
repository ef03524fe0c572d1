"""Import of published weights as a run, which can be evaluated and used to start a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from avparse import __version__
from avparse.data.batching import task_spec
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.foundation.settings import PartConfig, lookup
from avparse.foundation.tensors import read_tensors
from avparse.media.extractors import EXTRACTORS
from avparse.models.official import OFFICIAL, ignored_names, load_official
from avparse.models.parsers import Parser
from avparse.models.parsers.build import build_parser
from avparse.models.stem import check_rates
from avparse.models.trained import RunInfo
from avparse.models.weights import load_weights
from avparse.training.recipe import Recipe, apply_change, load_recipe
from avparse.training.run import Run


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        run: the new run.
        used: number of values that its parser holds.
        unused: official names of tensors that have no effect, and were left out.
        half: whether the published system consists of two checkpoints and only one was given.
    """

    run: Run
    used: int
    unused: tuple[str, ...]
    half: bool = False

    def __str__(self) -> str:
        lines = [f"{self.run.path}: {self.run.recipe.title}, {self.used:,} parameters"]
        if self.unused:
            lines.append(f"left out, as the released network never uses them: {', '.join(self.unused)}")
        if self.half:
            lines.append("one half of it: the published system reads visual from a second file; give it with --visual")
        if not self.run.info.spec.extractable(EXTRACTORS):
            lines.append(
                "for 'evaluate' and 'train --init', on a store of the features that it was trained on; 'parse' is not "
                "for it: give --data with a store of features that avparse extracts, such as 'published'"
            )
        return "\n".join(lines)


def import_checkpoint(
    file: Path,
    system: str,
    out: Path,
    *,
    recipe: str | None = None,
    store: FeatureStore | None = None,
    changes: Sequence[str] = (),
    visual: Path | None = None,
) -> Imported:
    """Make a run of a released network's weights.

    Args:
        file: path of a state dict, as written by ``torch.save`` or safetensors.
        system: name of the network in :data:`avparse.models.official.OFFICIAL`.
        out: path of the new run folder.
        recipe: recipe whose decoding and training settings the run gets; None for the shipped one of that system.
        store: store of data like those that the network was trained on, for names of classes and streams; None for
            LLP's.
        changes: settings to replace, each ``key.of.setting=value``, such as thresholds that weights do not hold.
        visual: path of the second state dict of a system that predicts visual with another epoch (DHHN).

    Raises:
        UserError: :func:`read_tensors` refuses a file, its tensors are not the system's, the run exists, or ``visual``
            is given for a system that is one parser.
    """
    known = lookup(OFFICIAL, system, "system")
    if out.exists():
        raise UserError(f"{out}: exists already; choose another name or remove it")
    own = load_recipe(known.recipe, known.changes)
    select_visual = own.training.select_visual
    if visual is not None and select_visual is None:
        raise UserError(f"--visual {visual}: '{system}' is one parser for both modalities; leave it out")
    files = [file] if visual is None else [file, visual]
    states = [read_tensors(path) for path in files]
    official = [_load(system, path, state) for path, state in zip(files, states, strict=True)]
    spec = official[0].spec if store is None else _spec_of(store, official[0].spec)
    base = load_recipe(recipe) if recipe else own
    settings = _recipe(base, official[0].config, changes, select_visual if visual else None)
    parsers = [build_parser(settings.parser, spec, settings.training.cross) for _ in files]
    check_rates((official[0].config, official[0].spec), (settings.parser, spec), str(file))
    for path, parser, theirs in zip(files, parsers, official, strict=True):
        load_weights(parser, theirs.state_dict(), str(path))
    sums = [sha256_of(path) for path in files]
    named = " and ".join(f"{path.name} (SHA-256 {checksum[:12]})" for path, checksum in zip(files, sums, strict=True))
    info = RunInfo(
        version=__version__,
        seed=0,
        spec=spec,
        data=str(file),
        fingerprint="+".join(sums),
        description=f"weights of '{system}' imported from {named}",
    )
    run = Run.from_parsers(out, settings, info, parsers)
    used = sum(p.numel() for parser in parsers for p in parser.parameters())
    return Imported(
        run, used, tuple(ignored_names(system, states[0])), half=select_visual is not None and visual is None
    )


def _load(system: str, file: Path, weights: Mapping[str, Tensor]) -> Parser:
    try:
        return load_official(system, weights)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _recipe(base: Recipe, parser: PartConfig, changes: Sequence[str], select_visual: str | None) -> Recipe:
    """Return a recipe with another parser, or two of the kind, and without pseudo labels and denoiser."""
    values = base.model_dump(mode="json")
    values |= {"parser": parser.model_dump(mode="json"), "denoiser": None, "pseudo_labels": None, "tuning": None}
    values["title"] = f"{values['title']}, published weights"
    values["training"]["select_visual"] = select_visual
    for change in changes:
        apply_change(values, change)
    return Recipe.read(values, f"recipe '{base.title}'")


def _spec_of(store: FeatureStore, official: TaskSpec) -> TaskSpec:
    spec = task_spec(store)
    if len(spec.classes) != len(official.classes):
        raise UserError(f"{store.path}: has {len(spec.classes)} classes, the weights are of {len(official.classes)}")
    if set(spec.classes) == set(LLP_CLASSES) and spec.classes != LLP_CLASSES:
        raise UserError(f"{store.path}: has LLP's classes in another order than published weights; import LLP again")
    return spec
