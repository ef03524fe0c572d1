"""Scores of finished runs."""

from __future__ import annotations

from collections.abc import Sequence

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.store import FeatureStore
from avparse.evaluation.bootstrap import bootstrap
from avparse.evaluation.comparison import ALONE, compare_with_labels, score_split, score_table
from avparse.evaluation.decoding_tuning import DecodingTuning, tune_decoding
from avparse.evaluation.parsing import ParsingScores
from avparse.evaluation.prediction import Parse
from avparse.evaluation.selection import VideoKind, select_videos
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule
from avparse.training.run import Run, frames_mend

_KINDS: dict[VideoKind, str] = {
    "all": "",
    "overlapping": " with events that overlap (two classes heard at once, or two seen)",
    "single": " without events that overlap (never two classes heard at once, nor two seen)",
}


def evaluate_runs(
    runs: Sequence[Run], store: FeatureStore, split: str, videos: VideoKind = "all", tune: bool = False
) -> str:
    """Return a Markdown table of scores on a split, with 95 % bootstrap intervals of Type below it.

    One run has three rows: the parser alone, the parser given the weak labels, and the labels themselves. Several have
    one each, the parser alone.

    Args:
        runs: at least one.
        store: the data.
        split: whose truth is known.
        videos: score only those with, or without, events that overlap.
        tune: first tune the thresholds of each parser on all validation videos, one a kind for all classes.

    Raises:
        UserError: the store has other classes or streams than a run was trained on, the split has no dense truth, or no
            video of that kind; ``tune`` with the split that it reads.
    """
    for run in runs:
        _check(run, store)
    if tune and split == "val":
        raise UserError("--tune reads the split 'val', which is no test then; score another split")
    indices, table = select_videos(store, split, videos), FeatureTable(store)
    parsers = [run.parser() for run in runs]
    rules = [_rule(run, parser, table, tune) for run, parser in zip(runs, parsers, strict=True)]
    scores: dict[str, ParsingScores]
    if len(runs) == 1:
        (run,) = runs
        scores = compare_with_labels(parsers[0], table, indices, rules[0])
        caption, judged = f"{_named(run)}, ", {"the parser alone": scores[ALONE]}
    else:
        scores = {
            name: score_split(parser, table, indices, rule)
            for name, parser, rule in zip(_by_name(runs), parsers, rules, strict=True)
        }
        caption, judged = "Parsers alone, ", scores
    total = len(store.select(split))
    count = f"{total}" if videos == "all" else f"{len(indices)} of {total}"
    caption += "thresholds tuned on validation, " if tune else ""
    about = f" Data: {store.manifest.description}." if store.manifest.description else ""
    caption += f"{count} {split} videos{_KINDS[videos]}, percent.{about}"
    figures = {name: s.as_dict() for name, s in scores.items()}
    return "\n".join([score_table(figures, caption), *(_intervals(name, s) for name, s in judged.items())])


def _rule(run: Run, parser: Parse, table: FeatureTable, tune: bool) -> DecodingRule:
    if not tune:
        return run.recipe.decoding
    return tune_decoding(parser, table, table.store.select("val"), run.recipe.decoding, DecodingTuning())


def _check(run: Run, store: FeatureStore) -> None:
    spec, given = run.info.spec, task_spec(store)
    if given.classes != spec.classes:
        raise UserError(f"{store.path}: its classes differ from those that {run.path} was trained on")
    other = {name: size for name, size in spec.streams.items() if given.streams.get(name) != size}
    if other:
        problem = f"{store.path}: lacks the streams that {run.path} reads: {other}"
        raise UserError(frames_mend(problem, run.recipe.parser))


def _named(run: Run) -> str:
    return f"{run.recipe.title}, seed {run.info.seed}"


def _by_name(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the runs by title and seed, with the folder where several share them."""
    names = [_named(run) for run in runs]
    return {
        name if names.count(name) == 1 else f"{name} ({run.path})": run for name, run in zip(names, runs, strict=True)
    }


def _intervals(name: str, scores: ParsingScores) -> str:
    found = bootstrap(scores)
    low, high = found["segment_type"], found["event_type"]
    return (
        f"95 % bootstrap interval of {name}: segment Type {low.low:.1f} to {low.high:.1f}, "
        f"event Type {high.low:.1f} to {high.high:.1f}."
    )
