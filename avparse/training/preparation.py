"""Preparation of a run: its folder, its pseudo labels, and the result of its denoiser."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from avparse.data.batching import task_spec
from avparse.data.store import FeatureStore
from avparse.evaluation.sufficiency import rare_classes
from avparse.foundation.files import write_json, writing
from avparse.foundation.reading import RECORDS, read_json
from avparse.foundation.settings import build
from avparse.labels.pseudo import PSEUDO_LABELS
from avparse.labels.segments import SegmentLabels
from avparse.labels.table import RefinedLabels
from avparse.training.denoisers.denoiser import Denoiser
from avparse.training.devices import AUTO, Compute
from avparse.training.dry_run import dry_run
from avparse.training.prepared import Prepared
from avparse.training.recipe import LAST, Recipe
from avparse.training.registry import DENOISERS
from avparse.training.run import Run, Start
from avparse.training.warm_start import starting_weights
from avparse.training.workspace import Workspace

_log = logging.getLogger(__name__)


def begin(
    recipe: Recipe,
    store: FeatureStore,
    out: str | Path,
    seed: int,
    labels: RefinedLabels | None = None,
    init: Run | None = None,
) -> Run:
    """Create a new run folder, after checking that the recipe's parts fit together and to the data.

    Args:
        recipe: recipe that will be trained.
        store: feature store with the data.
        out: path of the new run folder.
        seed: seed of everything random in the run.
        labels: refined labels of the training split, in place of the recipe's denoiser.
        init: run whose parser this one starts from.

    Raises:
        UserError: the folder exists, a split is missing, the validation split lacks truth that the recipe reads, a
            teacher has no scores in the store, or the recipe, the data, ``labels`` and ``init`` do not fit together.
    """
    spec = task_spec(store)
    _check_splits(recipe, store, labels)
    pseudo = pseudo_labels(recipe, store)
    dry_run(recipe, spec, pseudo)
    weights = None if init is None else starting_weights(init, recipe, spec)
    return Run.create(out, recipe, store, seed, Start(labels, pseudo, weights))


def _check_splits(recipe: Recipe, store: FeatureStore, labels: RefinedLabels | None) -> None:
    """Refuse data without a split that training reads, or without truth that selection, tuning or denoising reads."""
    train, val = store.select("train"), store.select("val")
    for videos, name in ((train, "training"), (val, "validation")):
        warning = rare_classes(store, videos, name)
        if warning is not None:
            _log.warning("%s", warning)
    # All that reads validation truth is named at once: changing one reader would only show the next.
    changes = {} if recipe.training.select == LAST else {"training.select": f"training.select={LAST}"}
    if recipe.tuning is not None:
        changes["tuning"] = "tuning=null"
    if recipe.denoiser is not None and labels is None:
        denoiser: Denoiser = build(DENOISERS, recipe.denoiser)
        if denoiser.truth == "train":
            store.require_truth(train, f"needed by the denoiser '{recipe.denoiser.name}'", "choose another")
        elif denoiser.truth == "val":
            changes[f"the denoiser '{recipe.denoiser.name}'"] = "'denoiser={name: jomold}'"
    if changes:
        given = " ".join(f"--set {change}" for change in changes.values())
        way = f"add {given}, or leave the recipe out: avparse train --data {store.path} -o OUT"
        store.require_truth(val, f"needed by {' and '.join(changes)}", way)


def prepare(run: Run, store: FeatureStore, compute: Compute = AUTO) -> Prepared:
    """Make the run's pseudo labels and run its denoiser, or read the results of either if they exist already.

    The run folder stores pseudo labels as ``pseudo.safetensors``, refined labels as ``labels.parquet``, and the segment
    labels that a denoiser returns as ``segments.safetensors``.
    """
    config = run.recipe.denoiser
    table, selected = run.path / "labels.parquet", run.path / "denoised" / "selected.json"
    segments, pseudo = run.path / "segments.safetensors", _kept(run, store)
    if table.is_file():
        val = np.array(read_json(selected, RECORDS), dtype=np.int64) if selected.is_file() else None
        own = SegmentLabels.load(segments) if segments.is_file() else None
        labels = RefinedLabels.load(table, store.vocabulary)
        return Prepared(labels=labels, segments=own, val=val).with_segments(pseudo)
    if config is None:
        return Prepared(segments=pseudo)
    folder = run.path / "denoised"
    with writing(folder):
        folder.mkdir(exist_ok=True)
    workspace = Workspace(run.recipe, store, folder, run.info.seed, compute, pseudo)
    denoiser: Denoiser = build(DENOISERS, config)
    prepared = denoiser.prepare(workspace).with_segments(pseudo)
    if prepared.val is not None:
        write_json(selected, prepared.val.tolist())
    if prepared.segments is not None:
        prepared.segments.save(segments)
    if prepared.labels is not None:  # written last: its presence marks completion
        prepared.labels.save(table)
    return prepared


def pseudo_labels(recipe: Recipe, store: FeatureStore) -> SegmentLabels | None:
    """Return the pseudo labels of the training split that a recipe makes, None if it makes none.

    Raises:
        UserError: a teacher has no scores in the store or none of a video, or a threshold is missing.
    """
    if recipe.pseudo_labels is None:
        return None
    made: SegmentLabels = build(PSEUDO_LABELS, recipe.pseudo_labels)(store, store.select("train"))
    return made


def _kept(run: Run, store: FeatureStore) -> SegmentLabels | None:
    """Return the run's stored pseudo labels, even if a teacher was run again since."""
    path = run.path / "pseudo.safetensors"
    if not path.is_file():
        made = pseudo_labels(run.recipe, store)
        if made is None:
            return None
        made.save(path)
    return SegmentLabels.load(path)
