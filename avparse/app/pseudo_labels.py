"""Quality of pseudo labels, and tuning of their thresholds on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.data.batching import FeatureTable, Indices
from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import is_simulated
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import COPIED, score_table
from avparse.evaluation.prediction import predict
from avparse.evaluation.pseudo_quality import PseudoQuality, score_segment_labels
from avparse.evaluation.teacher_thresholds import ScoredVideos, Thresholds, Tuning, cross_validate, tune
from avparse.foundation.arrays import Float32Array, segment_rows
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text
from avparse.labels.pseudo import PseudoLabels
from avparse.labels.segments import SegmentLabels
from avparse.training.denoisers.pld import PseudoLabelDenoising, repair
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.run import Run


@dataclass(frozen=True)
class LabelQuality:
    """Quality of the pseudo labels of some videos.

    Attributes:
        stages: quality of the labels by name: as they were made, then after each pass of PLD.
        videos: description of the videos, which says whether a teacher of their labels is simulated.
        data: feature store with the videos.
    """

    stages: dict[str, PseudoQuality]
    videos: str
    data: FeatureStore

    def as_markdown(self, per_class: bool = False) -> str:
        """Return one table per stage, on request with every class."""
        about = f", {self.videos}, percent. Data: {self.data.about}."
        return "\n".join(quality.as_markdown(name + about, per_class) for name, quality in self.stages.items())


def score_pseudo_labels(recipe: str, store: FeatureStore, split: str, changes: Sequence[str] = ()) -> LabelQuality:
    """Return the quality of the pseudo labels of an annotated split.

    Args:
        recipe: name or path of a recipe, or a run folder; of a run with PLD, the labels after each pass are scored too.
        store: feature store with the data.
        split: name of a split whose truth is known.
        changes: settings of the recipe to replace; none for a run.

    Raises:
        UserError: the recipe makes no pseudo labels, a teacher has no scores in the store, the split has no dense
            truth, or changes are given for a run.
    """
    run = Run.open(recipe) if (Path(recipe) / "run.json").is_file() else None
    if run is not None and changes:
        raise UserError(f"{recipe}: is a run, whose recipe is fixed; leave '--set' out, or name a recipe instead")
    settings = load_recipe(recipe, changes) if run is None else run.recipe
    making, indices = _pseudo_labels(settings, recipe), store.select(split)
    labels = PseudoLabels(making)(store, indices)
    stages = {f"Pseudo labels of {settings.title}": score_segment_labels(labels, store)}
    if run is not None and isinstance(settings.denoiser, PseudoLabelDenoising.Config):
        table, config = FeatureTable(store), settings.denoiser
        for number in range(config.passes):
            parser = Run.open(run.path / "denoised" / f"pass{number}").parser()
            output = predict(parser, table, indices)
            labels = repair(labels, output, store, indices, config.flip, config.modalities)
            stages[f"After pass {number + 1} of PLD"] = score_segment_labels(labels, store)
    return LabelQuality(stages, _about(making, store, indices, split), store)


def tune_thresholds(recipe: str, store: FeatureStore, out: Path, tuning: Tuning, changes: Sequence[str] = ()) -> str:
    """Tune the thresholds of a recipe's pseudo labels on the validation split and write the recipe with them.

    Args:
        recipe: recipe whose pseudo labels have thresholds.
        store: feature store with an annotated validation split.
        out: path of the recipe to write.
        tuning: settings of the tuning.
        changes: settings of the recipe to replace.

    Returns:
        A table of the metrics before (except if the recipe's thresholds are a published table that lacks a class),
        cross-validated, and on the videos that were tuned on.

    Raises:
        UserError: ``out`` exists, there are no thresholds to tune, or a teacher has no scores in the store.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; choose another name or remove it")
    settings = load_recipe(recipe, changes)
    config = _pseudo_labels(settings, recipe)
    indices = store.select("val")
    videos, given = _scored(config, store, indices, recipe), _given(config, store)
    start = {modality: np.zeros(len(store.vocabulary), dtype=np.float32) for modality in MODALITIES}
    validated = cross_validate(videos, start, tuning)
    found = tune(videos, start, tuning)
    ids = tuple(store.videos[i] for i in indices)
    nothing = SegmentLabels(ids, store.vocabulary.names, store.lengths[indices], None, None)
    rows = {
        COPIED: score_segment_labels(nothing, store).scores,
        **({} if given is None else {"thresholds of the recipe": videos.score(given)}),
        f"tuned, {tuning.folds}-fold cross-validated": validated,
        "tuned, on the videos it was tuned on": videos.score(found),
    }
    sides = {
        modality: side.model_copy(update={"threshold": _named(store, found[modality])})
        for modality in MODALITIES
        if (side := config.side(modality)) is not None
    }
    tuned = settings.model_copy(update={"pseudo_labels": config.model_copy(update=sides)})
    write_text(out, tuned.as_yaml())
    caption = (
        f"Pseudo labels of {settings.title}, {_about(config, store, indices, 'val')}, percent. Data: {store.about}."
    )
    return score_table({name: scores.as_dict() for name, scores in rows.items()}, caption)


def _pseudo_labels(recipe: Recipe, name: str) -> PseudoLabels.Config:
    if not isinstance(recipe.pseudo_labels, PseudoLabels.Config):
        raise UserError(f"{name}: the recipe makes no pseudo labels; choose one that does, such as 'vaplan'")
    return recipe.pseudo_labels


def _about(config: PseudoLabels.Config, store: FeatureStore, indices: Indices, split: str) -> str:
    """Return a description of the videos, which says whether a teacher of their labels is simulated."""
    asked = [(side.teacher, modality) for modality in MODALITIES if (side := config.side(modality)) is not None]
    simulated = any(is_simulated(load_scores(store, *teacher).info) for teacher in asked)
    return f"{len(indices)} {split} videos" + (", simulated teacher" if simulated else "")


def _given(config: PseudoLabels.Config, store: FeatureStore) -> Thresholds | None:
    """Return the thresholds of the recipe; None if they are a published table that lacks a class of the store."""
    sides = {modality: config.side(modality) for modality in MODALITIES}
    if not all(side is None or side.names_all(modality, store.vocabulary) for modality, side in sides.items()):
        return None
    zeros = np.zeros(len(store.vocabulary), dtype=np.float32)
    return {m: zeros if side is None else side.thresholds(m, store.vocabulary) for m, side in sides.items()}


def _scored(config: PseudoLabels.Config, store: FeatureStore, indices: Indices, recipe: str) -> ScoredVideos:
    """Return the scores of videos, padded; a modality without teacher has the weak label in every segment."""
    audio, visual, mask = store.dense_truth(indices)
    lengths = store.lengths[indices]
    present = store.present[segment_rows(store.first_row[indices], lengths)]
    scores: dict[str, Float32Array] = {}
    for number, modality in enumerate(MODALITIES):
        side, values = config.side(modality), PseudoLabels(config).scores(store, indices, modality)
        if side is not None and side.decide != "threshold":
            raise UserError(f"{recipe}: labels of {modality} are decided by '{side.decide}', not by thresholds")
        free = side is not None and side.filter == "none"
        allowed = mask[:, :, None] & (store.weak[indices][:, None] | free)
        allowed[mask] &= present[:, number, None]
        padded = np.full(audio.shape, np.inf, dtype=np.float32)
        if values is not None:
            padded[mask] = values
        scores[modality] = np.where(allowed, padded, np.float32(-np.inf))
    fixed = tuple(m for m in MODALITIES if config.side(m) is None)
    return ScoredVideos(scores, dict(zip(MODALITIES, (audio, visual), strict=True)), fixed)


def _named(store: FeatureStore, thresholds: Float32Array) -> dict[str, float] | float:
    """Return thresholds in the form of a recipe: by class, or one number if all are equal; exact as float32."""
    short = [float(str(x)) for x in thresholds]
    return short[0] if len(set(short)) == 1 else dict(zip(store.vocabulary, short, strict=True))
