"""Creation of an untrained parser from a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avparse.data.batching import task_spec
from avparse.data.features import TaskSpec
from avparse.data.store import FeatureStore
from avparse.foundation.settings import read_part
from avparse.models.parsers import PARSERS, AnyParser
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.streams import recipe_on


def create_parser(
    recipe: str | Path | Recipe, data: TaskSpec | FeatureStore | str | Path, **settings: Any
) -> AnyParser:
    """Return the untrained parser of a recipe, with random weights, for the classes and streams of ``data``.

    A parser whose stem standardises its streams (``parser.needs_statistics``) needs their mean and deviation before it
    is trained: ``parser.calibrate(stream_statistics(store, indices))``.

    Args:
        recipe: name of a shipped recipe, path of a YAML file, or a recipe.
        data: feature store or its path, or the task specification of one.
        **settings: settings of the recipe's ``parser`` to replace, such as ``twins=True``. The settings of a part are a
            dictionary; settings that it leaves out are kept, unless it names another part: ``encoder={"layers": 2}``,
            ``encoder={"name": "lstm"}``.

    Returns:
        A module with ``forward(features, cross=True) -> ParserOutput``.

    Raises:
        UserError: the recipe or a setting is unknown, or the data lack a stream.
    """
    if not isinstance(data, TaskSpec):
        store = data if isinstance(data, FeatureStore) else FeatureStore.open(data)
        recipe, data = recipe if isinstance(recipe, Recipe) else recipe_on(store, recipe), task_spec(store)
    given = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    values = _merged(given.parser.model_dump(mode="json"), settings)
    return build_parser(read_part(PARSERS, "parser", values), data, given.training.cross)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with ``changes``; tables are merged, except for one that names another part."""
    merged = dict(values)
    for key, change in changes.items():
        before = values.get(key)
        if (
            isinstance(before, Mapping)
            and isinstance(change, Mapping)
            and change.get("name", before.get("name")) == (before.get("name"))
        ):
            merged[key] = _merged(before, change)
        else:
            merged[key] = change
    return merged
