"""Scores of a finished run."""

from __future__ import annotations

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.store import FeatureStore
from avparse.evaluation.bootstrap import bootstrap
from avparse.evaluation.comparison import ALONE, compare_with_labels, score_table
from avparse.foundation.errors import UserError
from avparse.training.run import Run


def evaluate_run(run: Run, store: FeatureStore, split: str) -> str:
    """Return a Markdown table of the run's scores on a split, with 95 % bootstrap intervals of the parser's Type.

    Raises:
        UserError: the store has other classes or streams than the run was trained on, or the split has no dense truth.
    """
    spec, given = run.info.spec, task_spec(store)
    if given.classes != spec.classes:
        raise UserError(f"{store.path}: its classes differ from those that {run.path} was trained on")
    other = {name: size for name, size in spec.streams.items() if given.streams.get(name) != size}
    if other:
        raise UserError(f"{store.path}: lacks the streams that {run.path} reads: {other}")
    indices = store.select(split)
    scores = compare_with_labels(run.parser(), FeatureTable(store), indices, run.recipe.decoding)
    about = f" Data: {store.manifest.description}." if store.manifest.description else ""
    caption = f"{run.recipe.title}, seed {run.info.seed}, {len(indices)} {split} videos, percent.{about}"
    intervals = bootstrap(scores[ALONE])
    low, high = intervals["segment_type"], intervals["event_type"]
    return (
        score_table({name: s.as_dict() for name, s in scores.items()}, caption)
        + f"\n95 % bootstrap interval of the parser alone: segment Type {low.low:.1f} to {low.high:.1f}, "
        f"event Type {high.low:.1f} to {high.high:.1f}."
    )
