"""The recipe of a name on a given store: its stem reads the streams that the store has."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.training.recipe import Recipe, is_file, load_recipe

_log = logging.getLogger(__name__)

# Names that imports and published systems use, whose features often have no card, in the order of their concatenation.
_NAMED = {"audio": ("audio", "clap"), "visual": ("frames", "clips", "clip")}


def streams_by_modality(store: FeatureStore) -> dict[str, list[str]]:
    """Return the names of a store's streams by modality; those whose modality neither name nor card tells are left out.

    Raises:
        UserError: no stream is left.
    """
    streams = store.manifest.streams
    found = {modality: [name for name in names if name in streams] for modality, names in _NAMED.items()}
    named = {name for names in found.values() for name in names}
    for name, stream in streams.items():
        if name not in named and stream.modality is not None:
            found[stream.modality].append(name)
    if not any(found.values()):
        raise UserError(
            f"{store.path}: no recipe reads its streams ({', '.join(streams)}); name a recipe and what it is to read: "
            "jomold --set parser.stem.audio=[STREAM] --set parser.stem.visual=[STREAM]"
        )
    return found


def recipe_on(store: FeatureStore, name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe for a store: the stem of a shipped one whose streams the store lacks reads those that it has.

    That is told. Streams that ``changes`` or a YAML file name are kept, so that a misspelt one is an error.

    Args:
        store: feature store that the recipe will be trained on.
        name: path of a YAML file, or name of a shipped recipe.
        changes: settings to replace, as :func:`avparse.training.recipe.load_recipe` reads them.

    Raises:
        UserError: no stream of the store suits, or the recipe cannot be read.
    """
    recipe = load_recipe(name, changes)
    stem = getattr(recipe.parser, "stem", None)
    given = {change.partition("=")[0] for change in changes}
    own = [m for m in MODALITIES if not {f"parser.stem.{m}", "parser.stem", "parser"} & given]
    lacking = [m for m in own if set(getattr(stem, m, ())) - set(store.manifest.streams)]
    if not lacking or is_file(name):
        return recipe
    found = streams_by_modality(store)
    changed = [f"parser.stem.{m}={json.dumps(found[m])}" for m in lacking]
    _log.warning(
        "%s: has no stream %s of the recipe '%s', which reads the store's own: %s",
        store.path,
        ", ".join(f"'{s}'" for m in lacking for s in getattr(stem, m) if s not in store.manifest.streams),
        name,
        " ".join(f"--set '{change}'" for change in changed),
    )
    return load_recipe(name, [*changed, *changes])
