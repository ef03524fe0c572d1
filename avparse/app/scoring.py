"""Evaluation of finished runs on an annotated split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avparse.data.batching import FeatureTable, task_spec
from avparse.data.datasets.relabelling import with_events
from avparse.data.made_up import made_up
from avparse.data.store import FeatureStore
from avparse.evaluation.bootstrap import bootstrap, bootstrap_difference
from avparse.evaluation.comparison import (
    COPIED,
    GIVEN_LABELS,
    PARSER_ONLY,
    compare_with_labels,
    score_split,
    score_table,
)
from avparse.evaluation.decoding_tuning import DecodingTuning, tune_decoding
from avparse.evaluation.parsing import ParsingScores, as_text
from avparse.evaluation.selection import VideoKind, select_videos
from avparse.evaluation.sufficiency import doubts, rare_classes
from avparse.foundation.errors import UserError
from avparse.foundation.interval import Interval
from avparse.models.decoding import DecodingRule
from avparse.models.output import Parse
from avparse.models.stem import check_rates
from avparse.training.devices import Compute
from avparse.training.run import Run

_log = logging.getLogger(__name__)
_KINDS: dict[VideoKind, str] = {
    "all": "",
    "overlapping": " with events that overlap (two classes heard at once, or two seen)",
    "single": " without events that overlap (never two classes heard at once, nor two seen)",
}


@dataclass(frozen=True)
class Evaluation:
    """Scores of runs on a split; its text is a Markdown table, with 95 % bootstrap intervals of Type below it.

    Attributes:
        caption: description of the runs and videos that were scored.
        scores: scores by system: for one run the parser by itself (``"parser"``), the parser given the weak labels, and
            the labels themselves; for several runs the parser of each.
    """

    caption: str
    scores: dict[str, ParsingScores]

    def __str__(self) -> str:
        table = score_table({name: scores.as_dict() for name, scores in self.scores.items()}, self.caption)
        parsers = {name: s for name, s in self.scores.items() if name not in (GIVEN_LABELS, COPIED)}
        return "\n".join([table, *(_intervals(name, scores) for name, scores in parsers.items())])

    def differences(self) -> dict[str, dict[str, Interval]]:
        """Return the difference of each further run to the first one, for each metric, with its 95 % interval.

        Both are resampled together, video by video; an interval that excludes zero means that they differ.

        Raises:
            UserError: fewer than two runs were scored.
        """
        first, *others = [s for name, s in self.scores.items() if name not in (GIVEN_LABELS, COPIED)]
        if not others:
            raise UserError("a comparison needs two runs; give a further --run")
        names = list(self.scores)[1:]
        return {name: bootstrap_difference(s, first) for name, s in zip(names, others, strict=True)}

    def comparison(self) -> str:
        """Return the differences as a Markdown table, in points, with one row per run."""
        first, rows = next(iter(self.scores)), self.differences()
        lines = [
            f"Difference to {first}, points with the 95 % interval of a paired bootstrap over the videos; an interval "
            "without zero tells the two apart:",
            "",
            "| system | segment Type | event Type |",
            "|---|---:|---:|",
        ]
        lines += [f"| {name} | {row['segment_type']} | {row['event_type']} |" for name, row in rows.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Evaluation: {self.caption}\n" + as_text({n: s.as_dict() for n, s in self.scores.items()})


def evaluate(
    runs: str | Path | Run | Sequence[str | Path | Run],
    store: str | Path | FeatureStore,
    split: str = "test",
    *,
    videos: VideoKind = "all",
    events: str | Path | None = None,
    tune: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Score the parsers of runs on a split whose truth is known.

    Args:
        runs: run or its path, or several of them.
        store: feature store, or its path.
        split: name of the split; its videos have dense truth.
        videos: kind of videos to score: ``"all"``, only those in which events overlap (``"overlapping"``), or only the
            others (``"single"``).
        events: path of a table ``video,class,modality,onset,offset`` that is scored against instead of the store's
            truth, on the videos of the split that it names.
        tune: whether to tune the thresholds of each parser on all validation videos first, one of each kind for all
            classes.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest one that the machine has.

    Raises:
        UserError: the store has other classes or streams than a run was trained on, the split has no dense truth or no
            video of that kind, or ``tune`` is set with the split that it reads.

    Example:
        >>> print(evaluate("runs/han-1", "features/llp", "test"))  # doctest: +SKIP
    """
    several = [runs] if isinstance(runs, str | Path | Run) else runs
    opened = [run if isinstance(run, Run) else Run.open(run) for run in several]
    store = store if isinstance(store, FeatureStore) else FeatureStore.open(store)
    for run in opened:
        _check(run, store)
    if events is not None:
        store = with_events(store, events, split)
    if tune and split == "val":
        raise UserError("--tune reads the split 'val', which is then no unseen split; score another split")
    where = Compute(device).fabric().device
    indices, table = select_videos(store, split, videos), FeatureTable(store, device=where)
    parsers = [run.parser(where) for run in opened]
    rules = [_rule(run, parser, table, tune) for run, parser in zip(opened, parsers, strict=True)]
    if len(opened) == 1:
        scores = compare_with_labels(parsers[0], table, indices, rules[0])
    else:
        scores = {
            name: score_split(parser, table, indices, rule)
            for name, parser, rule in zip(_by_name(opened), parsers, rules, strict=True)
        }
    systems = _named(opened[0]) if len(opened) == 1 else "Parsers alone"
    total = len(store.select(split))
    against = "" if events is None else f" of {events}"
    count = f"{total}" if videos == "all" else f"{len(indices)} of {total}"
    tuned = "thresholds tuned on validation, " if tune else ""
    warnings = [rare_classes(store, indices, split), *(doubts(scores, split) if len(opened) == 1 else [])]
    for warning in filter(None, warnings):
        _log.warning("%s", warning)
    caption = f"{systems}, {tuned}{count} {split} videos{against}{_KINDS[videos]}, percent. Data: {store.about}."
    caption += _trained_on(opened, store)
    return Evaluation(caption, scores)


def _trained_on(runs: Sequence[Run], store: FeatureStore) -> str:
    """Return a sentence on parsers that were trained on data made by a program, where the scored data do not say it."""
    kinds = sorted({made_up(run.info.description) for run in runs} - {"", made_up(store.manifest.description)})
    return f" Trained on {' and '.join(kinds)} data." if kinds else ""


def _rule(run: Run, parser: Parse, table: FeatureTable, tune: bool) -> DecodingRule:
    if not tune:
        return run.recipe.decoding
    return tune_decoding(parser, table, table.store.select("val"), run.recipe.decoding, DecodingTuning())


def _check(run: Run, store: FeatureStore) -> None:
    spec, parser, problem = task_spec(store), run.recipe.parser, f"{store.path}: does not fit the run {run.path}"
    check_rates((parser, run.info.spec), (parser, spec), problem)
    differences = run.info.spec.differences(spec)
    if differences:
        raise UserError(f"{problem}: it has {'; '.join(differences)}")


def _named(run: Run) -> str:
    return f"{run.recipe.title}, seed {run.info.seed}"


def _by_name(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the runs by title and seed, with the folder where several share them."""
    names = [_named(run) for run in runs]
    return {
        name if names.count(name) == 1 else f"{name} ({run.path})": run for name, run in zip(names, runs, strict=True)
    }


def _intervals(name: str, scores: ParsingScores) -> str:
    found, of = bootstrap(scores), "the parser alone" if name == PARSER_ONLY else name
    low, high = found["segment_type"], found["event_type"]
    return (
        f"95 % bootstrap interval of {of}: segment Type {low.low:.1f} to {low.high:.1f}, "
        f"event Type {high.low:.1f} to {high.high:.1f}."
    )
