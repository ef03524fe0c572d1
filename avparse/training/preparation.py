"""What is done before a run's first step: pseudo labels are made, and its denoiser does its work."""

from __future__ import annotations

import json

import numpy as np

from avparse.data.store import FeatureStore
from avparse.foundation.files import write_json
from avparse.foundation.settings import build
from avparse.labels.pseudo import PSEUDO_LABELS
from avparse.labels.segments import SegmentLabels
from avparse.labels.table import RefinedLabels
from avparse.training.denoisers import DENOISERS
from avparse.training.recipe import Recipe
from avparse.training.run import Run
from avparse.training.workshop import Prepared, Workshop


def prepare(run: Run, store: FeatureStore, accelerator: str = "cpu", resident: bool | None = None) -> Prepared:
    """Make the run's pseudo labels and let its denoiser do its work, or take up what is there of either.

    Pseudo labels are kept in the run as ``pseudo.safetensors``, refined labels as ``labels.parquet``, and the segment
    labels that a denoiser leaves as ``segments.safetensors``.
    """
    config = run.recipe.denoiser
    table, selected = run.path / "labels.parquet", run.path / "denoised" / "selected.json"
    segments, pseudo = run.path / "segments.safetensors", _kept(run, store)
    if table.is_file():
        val = np.array(json.loads(selected.read_text(encoding="utf-8")), dtype=np.int64) if selected.is_file() else None
        own = SegmentLabels.load(segments) if segments.is_file() else None
        labels = RefinedLabels.load(table, store.vocabulary)
        return Prepared(labels=labels, segments=own, val=val).with_segments(pseudo)
    if config is None:
        return Prepared(segments=pseudo)
    folder = run.path / "denoised"
    folder.mkdir(exist_ok=True)
    workshop = Workshop(run.recipe, store, folder, run.info.seed, accelerator, resident, pseudo)
    prepared = build(DENOISERS, config).prepare(workshop).with_segments(pseudo)
    if prepared.val is not None:
        write_json(selected, prepared.val.tolist())
    if prepared.segments is not None:
        prepared.segments.save(segments)
    if prepared.labels is not None:  # last: what stands in its place says that all is done
        prepared.labels.save(table)
    return prepared


def pseudo_labels(recipe: Recipe, store: FeatureStore) -> SegmentLabels | None:
    """Return the pseudo labels of the training split that a recipe asks for, None where it asks for none.

    Raises:
        UserError: a teacher was not asked, could not see a video, or a threshold is missing.
    """
    if recipe.pseudo_labels is None:
        return None
    made: SegmentLabels = build(PSEUDO_LABELS, recipe.pseudo_labels)(store, store.select("train"))
    return made


def _kept(run: Run, store: FeatureStore) -> SegmentLabels | None:
    """Return the run's pseudo labels; those that it began with, even if a teacher was asked anew since."""
    path = run.path / "pseudo.safetensors"
    if not path.is_file():
        made = pseudo_labels(run.recipe, store)
        if made is None:
            return None
        made.save(path)
    return SegmentLabels.load(path)
