"""Warm start: weights for a new run, taken from another run of the same parser."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from avparse.data.features import Features, TaskSpec
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.models.parsers.build import build_parser
from avparse.models.stem import check_rates
from avparse.models.weights import load_weights
from avparse.training.recipe import Recipe, apply_change
from avparse.training.run import Run

_log = logging.getLogger(__name__)
_VIDEOS, _SEGMENTS = 4, 10
_PREDICTIONS = ("audio_segments", "visual_segments", "audio", "visual", "video")


def starting_weights(init: Run, recipe: Recipe, spec: TaskSpec) -> dict[str, Tensor]:
    """Return the weights of ``init`` as the initial weights of a run of ``recipe``.

    Most settings of a parser determine the shapes of its tensors. The others (heads, hard or soft assignment, order of
    layers) are checked by prediction: for a few random videos the weights must predict the same under the settings of
    both runs. Settings that act only in training, such as dropout, may differ.

    Args:
        init: trained or imported run.
        recipe: recipe that will be trained.
        spec: classes, streams and segment length of its data.

    Raises:
        UserError: the run was trained on other classes, or on the same ones in another order, because its heads belong
            to positions; or the recipe's parser has other tensors, or predicts something else with them; the settings
            that make the difference are named.
    """
    _check_data(init, spec)
    check_rates((init.recipe.parser, init.info.spec), (recipe.parser, spec), str(init.path))
    weights = init.weights()
    theirs = _on_our_data(init.recipe.parser, recipe.parser)
    with torch.random.fork_rng(devices=[]):
        load_weights(build_parser(recipe.parser, spec), weights, str(init.path))
        changed = _acting(theirs, recipe.parser, spec, weights)
    if changed:
        settings = " ".join(f"--set parser.{name}={_as_text(value)}" for name, value in changed.items())
        raise UserError(f"{init.path}: its weights were made with settings that the recipe lacks; give {settings}")
    if init.recipe.training.select_visual is not None:
        _log.warning("%s: has two parsers; the one for audio is used as start, the one for visual is not", init.path)
    return weights


def _check_data(init: Run, spec: TaskSpec) -> None:
    """Refuse a run of other classes, and warn where its segments or features differ."""
    own = init.info.spec
    classes = own.differences(own.model_copy(update={"classes": spec.classes}))
    if classes:
        raise UserError(
            f"{init.path}: cannot be started from, its heads belong to positions: the data have {classes[0]}"
        )
    shared = {name: size for name, size in own.streams.items() if spec.streams.get(name) == size}
    others = own.model_copy(update={"streams": shared}).differences(spec)  # loading refuses other dimensions
    if others:
        _log.warning("%s: was trained on other features than this run: the data have %s", init.path, "; ".join(others))


def _on_our_data(theirs: PartConfig, ours: PartConfig) -> PartConfig:
    """Return their settings with those of ours that depend on the data: frames per segment, class vectors."""
    values, given = theirs.model_dump(mode="json"), ours.model_dump(mode="json")
    for part, name in (("stem", "rates"), ("decoder", "labels")):
        if name in values.get(part, {}) and name in given.get(part, {}):
            values[part][name] = given[part][name]
    return type(theirs).read(values, "parser")


def _acting(theirs: PartConfig, ours: PartConfig, spec: TaskSpec, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return their values of the settings under which the weights predict something else, by dotted name."""
    values, given = theirs.model_dump(mode="json"), dict(_flat(ours.model_dump(mode="json")))
    differ = {name: value for name, value in _flat(values) if name not in given or given[name] != value}
    if not differ or _same(theirs, ours, spec, weights):
        return {}
    alone = {n: v for n, v in differ.items() if not _same(theirs, _changed(theirs, n, given), spec, weights)}
    return alone if alone else differ  # settings that act only together are all named


def _changed(config: PartConfig, name: str, given: Mapping[str, Any]) -> PartConfig | None:
    """Return the settings with one of them replaced; None where it cannot be replaced alone."""
    values = config.model_dump(mode="json")
    try:
        apply_change(values, f"{name}={json.dumps(given.get(name))}")
        return type(config).read(values, "parser")
    except UserError:
        return None


def _same(a: PartConfig, b: PartConfig | None, spec: TaskSpec, weights: Mapping[str, Tensor]) -> bool:
    """Whether both parsers predict the same for random videos, with cross-modal attention and without."""
    try:
        return b is not None and all(map(torch.equal, _predictions(a, spec, weights), _predictions(b, spec, weights)))
    except UserError:
        return False


def _predictions(config: PartConfig, spec: TaskSpec, weights: Mapping[str, Tensor]) -> list[Tensor]:
    parser = build_parser(config, spec)
    load_weights(parser, weights, "start")
    generator = torch.Generator().manual_seed(0)
    shape = (_VIDEOS, _SEGMENTS)
    features = Features({n: torch.randn(*shape, d, generator=generator) for n, d in spec.streams.items()})
    with torch.no_grad():
        outputs = [parser.eval()(features, cross=cross) for cross in (True, False)]
    return [getattr(output, name) for output in outputs for name in _PREDICTIONS]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
