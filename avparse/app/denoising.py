"""Denoising as a step of its own: refined labels are made, described, and read for training."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avparse.app.recommended import recommend
from avparse.data.batching import Indices
from avparse.data.store import FeatureStore
from avparse.evaluation.denoising import score_denoising
from avparse.evaluation.noise_rates import NoiseRates, estimate_noise_rates
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import remove_folder, sweep, writing
from avparse.foundation.locks import LOCK, Lock
from avparse.foundation.progress import Progress, showing
from avparse.foundation.settings import build, current_name, lookup
from avparse.labels.statistics.rates import RightRates
from avparse.labels.table import RefinedLabels
from avparse.training.denoisers import DENOISERS, Denoiser
from avparse.training.devices import Compute
from avparse.training.preparation import begin, prepare
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run
from avparse.training.streams import recipe_on

_log = logging.getLogger(__name__)

_TABLES = (".parquet", ".csv")  # endings of tables of refined labels
_WITHOUT_TABLE = {
    "refiners": "refines the labels anew in every batch and makes no table; train a recipe with it",
    "segments": "repairs pseudo labels of segments and makes no table of refined labels; train a recipe with it, then "
    "'avparse pseudo-labels RUN --data STORE' prints their quality",
}


def denoise(
    store: str | Path | FeatureStore,
    method: str | None = None,
    out: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    changes: Sequence[str] = (),
    seed: int = 1,
    device: str = "auto",
    progress: Progress = "auto",
) -> RefinedLabels:
    """Run a denoiser and return its refined labels; :func:`describe_labels` describes their quality.

    Args:
        store: feature store, or its path.
        method: name of the denoiser in :data:`DENOISERS`; None for the one that :func:`recommend` chooses.
        out: path of the table to write (Parquet). Intermediate results are then stored in ``out`` + ``.work``, so that
            an interrupted call continues where it was stopped; the folder is removed at the end. None: nothing is
            stored.
        recipe: recipe of the parsers that the denoiser trains; None for the one that :func:`recommend` chooses.
        changes: settings of the recipe to replace, such as ``training.epochs=10`` or ``denoiser.partners=3``.
        seed: seed of everything random.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest one that the machine has.
        progress: display of the progress: None, ``"bar"``, a function ``(done, total, what)``, or ``"auto"``, as in
            :func:`avparse.foundation.progress.showing`.

    Raises:
        UserError: ``out`` exists or ends in neither ``.parquet`` nor ``.csv``, the method or a setting is unknown, the
            working folder was begun with others, the method makes no table, or the truth that it reads is missing.

    Example:
        >>> labels = denoise("features/llp", "class-prior", "labels.parquet")  # doctest: +SKIP
        >>> print(describe_labels(labels, FeatureStore.open("features/llp")))  # doctest: +SKIP
    """
    target = None if out is None else Path(out)
    if target is not None and target.suffix not in ("", *_TABLES):
        raise UserError(f"{target}: refined labels are a Parquet or CSV table; give it the ending .parquet or .csv")
    store = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
    if method is None or recipe is None:
        suited = recommend(store)
        method = method or suited.denoiser
        if recipe is None:
            recipe, changes = suited.recipe, (*suited.changes, *changes)
        _log.warning("%s: denoises with '%s' on parsers of the recipe '%s'", store.path, method, recipe)
    settings = method_recipe(store, method, recipe, changes)
    assert settings.denoiser is not None
    denoiser: Denoiser = build(DENOISERS, settings.denoiser)
    if denoiser.leaves in _WITHOUT_TABLE:
        raise UserError(f"method '{method}' {_WITHOUT_TABLE[denoiser.leaves]}")
    if denoiser.truth is not None:
        way = f"leave the method out: avparse denoise {store.path} -o OUT"
        store.require_truth(store.select(denoiser.truth), f"needed by the method '{method}'", way)
    if target is None:
        with showing(progress), tempfile.TemporaryDirectory(prefix="avparse-") as folder:
            return _labels(Path(folder) / "work", settings, seed, store, device)
    work = target.with_name(f"{target.name}.work")
    sweep(target.parent)
    if target.exists() and not work.exists():  # with it, an earlier call was stopped while it tidied up
        raise UserError(f"{target}: exists already; choose another name or remove it")
    with showing(progress):
        labels = _labels(work, settings, seed, store, device)
    labels.save(target)
    with writing(work):
        remove_folder(work)
    return labels


def describe_labels(labels: RefinedLabels, store: FeatureStore, per_class: bool = False) -> str:
    """Return the number of labels that were removed and of those that are wrong, as Markdown.

    Args:
        labels: refined labels of training videos of ``store``.
        store: feature store that the labels were made for.
        per_class: whether to report every class.

    Raises:
        UserError: the labels were made for other data.
    """
    return f"{labels}\n\n{_quality(labels, store, per_class)}"


def method_recipe(store: FeatureStore, method: str, recipe: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with the denoiser ``method``, with the recipe's own settings if it has that denoiser already.

    A denoiser that can refine every batch or only once (``static``) does it once here, because only that gives a table.

    Raises:
        UserError: the method, the recipe or a setting is unknown, or the store has no stream for its stem.
    """
    method = str(current_name(DENOISERS, method))
    lookup(DENOISERS, method, "method")
    given = load_recipe(recipe).denoiser
    first = [] if given is not None and given.name == method else [f"denoiser={{name: {method}}}"]
    if hasattr(load_recipe(recipe, first).denoiser, "static"):
        first.append("denoiser.static=true")
    return recipe_on(store, recipe, [*first, *changes])


def _labels(work: Path, recipe: Recipe, seed: int, store: FeatureStore, device: str) -> RefinedLabels:
    """Run the recipe's denoiser in a new or existing working folder, and return its labels."""
    if not work.exists():
        run = begin(recipe, store, work, seed)
    else:
        run = Run.open(work)
        run.check_data(store)
        if (run.recipe, run.info.seed) != (recipe, seed):
            raise UserError(
                f"{work}: was begun with another method, recipe, setting or seed; give the same or remove it"
            )
    with Lock(work / LOCK, work):
        labels = prepare(run, store, Compute(device)).labels
    assert labels is not None, "a denoiser that leaves labels returns them"
    return labels


def _quality(labels: RefinedLabels, store: FeatureStore, per_class: bool) -> str:
    """Return the quality of the labels where the truth is known, and otherwise an estimate of their noise."""
    rows, val = labels.rows(store.videos, store.weak), store.select("val")
    if store.annotated[rows].all():
        truth = _modality_truth(store, rows)
        suggested = torch.from_numpy(np.stack((labels.audio, labels.visual))) >= 0.5
        quality = score_denoising(labels.given, suggested[0], suggested[1], truth[0], truth[1], labels.classes)
        return f"Against the truth of the training split, percent:\n\n{quality.as_markdown(per_class)}"
    if not store.annotated[val].all():
        return "The share of wrong labels is unknown: neither training nor validation videos have dense truth."
    return _noise_rates(labels.given, store, val).as_markdown(per_class)


def _noise_rates(given: BoolArray, store: FeatureStore, val: Indices) -> NoiseRates:
    """Estimate the noise of given labels ``[N, C]`` from that of the validation labels of the same classes.

    No parser is used: one that was trained on these very labels has learned to predict the wrong ones (on simulated
    LLP, 2,500 videos, it estimated 31.3 % [28.9, 33.7] of the visual labels as wrong where 35.2 % are; this method
    estimates 35.8 % [33.4, 38.3]).
    """
    rates = RightRates.fit(torch.from_numpy(store.weak[val]), _modality_truth(store, val))
    return estimate_noise_rates(torch.from_numpy(given), rates, store.vocabulary.names)


def _modality_truth(store: FeatureStore, rows: Indices) -> Tensor:
    """Return the true modality labels ``[2, N, C]`` (audio, visual; boolean) of annotated videos."""
    audio, visual, _ = store.dense_truth(rows)
    return torch.from_numpy(np.stack((audio.any(axis=1), visual.any(axis=1))))
