"""The recipe that suits a feature store: by its dense truth, the number of its videos, and its streams."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.training.recipe import LAST, Recipe, load_recipe
from avparse.training.streams import recipe_on, streams_by_modality

_log = logging.getLogger(__name__)

_FEW = 2000  # training videos; below, the narrow parser and the small batches of the demo are the better ones
_READ = {"audio": ["audio"], "visual": ["frames", "clips"]}  # by the stems of the shipped recipes


@dataclass(frozen=True)
class Recommended:
    """A recipe for data of one's own.

    Attributes:
        recipe: name of a shipped recipe.
        changes: changes of its settings, as :func:`avparse.training.recipe.load_recipe` reads them.
        denoiser: name of its denoiser.
        measured: whether the validation split has dense truth, so that epochs can be compared.
    """

    recipe: str
    changes: tuple[str, ...]
    denoiser: str
    measured: bool


def recommend(store: FeatureStore) -> Recommended:
    """Return the recipe for data of one's own: RLLD-plus where validation has dense truth, otherwise JoMoLD.

    JoMoLD reads weak labels alone. Without truth epochs cannot be compared, so the last one is kept.

    Raises:
        UserError: the store has no training or no validation videos, or no stream of a known name.
    """
    few = len(store.select("train")) < _FEW
    if store.annotated[store.select("val")].all():
        return Recommended("demo" if few else "rlld-plus", _stem(store), "rlld-plus", measured=True)
    last = (f"training.select={LAST}",)
    return Recommended("weak-labels" if few else "jomold", (*_stem(store), *last), "jomold", measured=False)


def recipe_for(store: FeatureStore, name: str | None, changes: Sequence[str] = ()) -> Recipe:
    """Return the named recipe, or the recommended one, and then say which it is; ``changes`` are made to either."""
    if name is not None:
        return recipe_on(store, name, changes)
    suited = recommend(store)
    why = "" if suited.measured else " The validation videos have no dense truth, so the last epoch is kept."
    named = " ".join([suited.recipe, *(f"--set '{change}'" for change in suited.changes)])
    _log.warning("%s: trains the recipe that suits these data: %s.%s", store.path, named, why)
    return load_recipe(suited.recipe, [*suited.changes, *changes])


def _stem(store: FeatureStore) -> tuple[str, ...]:
    """Return the changes that make the stem read the store's streams; none where a recipe reads them already."""
    found = streams_by_modality(store)
    return tuple(f"parser.stem.{m}={json.dumps(found[m])}" for m in MODALITIES if found[m] != _READ[m])
