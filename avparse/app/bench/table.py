"""Results of a benchmark as Markdown and CSV, with mean and deviation over seeds and one system per row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avparse.data.batching import FeatureTable
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import COLUMNS, PARSER_ONLY, score_split
from avparse.evaluation.decoding_tuning import DecodingTuning, tune_decoding
from avparse.evaluation.denoising import score_denoising
from avparse.evaluation.parsing import METRICS
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_json
from avparse.foundation.reading import read_json
from avparse.labels.table import RefinedLabels
from avparse.training.results import Results
from avparse.training.run import Run

NOISE = tuple(f"noise_{modality}" for modality in MODALITIES)
MEASURED = (*METRICS, *NOISE, "seconds")
_HEADS = ("system", "seeds", *COLUMNS, "noise left A", "V", "wall time (min)", "ratio")
_PUBLISHED = "published, real LLP"
TUNED = "thresholds tuned on validation"


@dataclass(frozen=True)
class RunResult:
    """Measurements of one finished run.

    Attributes:
        values: scores and noise left in percent, and wall time, by name in :data:`MEASURED`; unknown ones are absent.
        refined: whether the noise is that of refined labels instead of the weak ones.
    """

    values: dict[str, float]
    refined: bool


@dataclass
class System:
    """A row of the table.

    Attributes:
        name: name of the system.
        seeds: number of runs that the row will have.
        published: the ten metrics of the paper, on real LLP.
        results: measurements of its finished runs.
        tuned: the ten metrics of each run with tuned thresholds; empty where the table does not ask for them.
    """

    name: str
    seeds: int
    published: tuple[float, ...] | None = None
    note: str = ""
    results: list[RunResult] = field(default_factory=list)
    tuned: list[dict[str, float]] = field(default_factory=list)

    def spread(self, name: str, tuned: bool = False) -> tuple[float, float | None] | None:
        """Return mean and sample standard deviation (None for one run) of a measured value, None where unknown."""
        found = self.tuned if tuned else [r.values for r in self.results]
        values = [v[name] for v in found if name in v]
        if not values:
            return None
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def read_result(run: Path, store: FeatureStore, seconds: float | None) -> RunResult:
    """Read the measurements of a finished run from its folder.

    Raises:
        UserError: a file of the run is damaged.
    """
    try:
        values = dict(Results.load(run).scores[PARSER_ONLY])
    except UserError as error:
        raise UserError(f"{error}; or remove the file to score the run again") from None
    refined = (run / "labels.parquet").is_file()
    values |= noise_left(run, store)
    if seconds is not None:
        values["seconds"] = seconds
    return RunResult(values, refined)


def read_tuned(run: Path, store: FeatureStore, tuning: DecodingTuning, cache: Path) -> dict[str, float]:
    """Return the ten test metrics of a finished run, in percent, with tuned thresholds; ``cache`` stores them."""
    try:
        known = read_json(cache)
        if DecodingTuning.read(known["tuning"], str(cache)) == tuning:
            return {name: float(known["scores"][name]) for name in METRICS}
    except (OSError, ValueError, KeyError, TypeError, UserError):  # missing, or a partial file of another program
        pass
    opened, table = Run.open(run), FeatureTable(store)
    parser = opened.parser()
    rule = tune_decoding(parser, table, store.select("val"), opened.recipe.decoding, tuning)
    scores = score_split(parser, table, store.select("test"), rule).as_dict()
    write_json(
        cache, {"tuning": tuning.model_dump(mode="json"), "decoding": rule.model_dump(mode="json"), "scores": scores}
    )
    return scores


def noise_left(run: Path, store: FeatureStore) -> dict[str, float]:
    """Return the share of wrong labels, in percent by name of :data:`NOISE`, among those that the parser trained on.

    These are the run's refined labels, or the weak ones if it has none; the result is empty where the truth of the
    training split is unknown.
    """
    videos = store.select("train")
    if not store.annotated[videos].all():
        return {}
    path = run / "labels.parquet"
    if path.is_file():
        labels = RefinedLabels.load(path, store.vocabulary)
        videos = np.array([store.position(video) for video in labels.videos])
        kept = [labels.side(modality)[0] >= 0.5 for modality in MODALITIES]
    else:
        kept = [store.weak[videos]] * len(MODALITIES)
    audio, visual = (np.asarray(truth.any(axis=1)) for truth in store.dense_truth(videos)[:2])
    quality = score_denoising(store.weak[videos], kept[0], kept[1], audio, visual, store.vocabulary)
    shares = 100 * quality.measures()["noise_after"][:, -1]
    return {name: float(share) for name, share in zip(NOISE, shares, strict=False) if np.isfinite(share)}


def as_markdown(systems: Sequence[System], caption: str, remarks: Sequence[str] = ()) -> str:
    """Return the table under ``caption``; ``remarks``, footnotes and the notes of systems follow."""
    lines = [caption, "", f"| {' | '.join(_HEADS)} |", "|---|" + "---:|" * (len(_HEADS) - 1)]
    for system in systems:
        count = f"{len(system.results)}" if len(system.results) == system.seeds else _of(system)
        scores = [_cell(system.spread(name)) for name in METRICS]
        weak = "" if all(r.refined for r in system.results) else " w"
        noise = [_cell(spread) + weak if (spread := system.spread(name)) else "–" for name in NOISE]
        ratio = _ratio(system, systems[0])
        cost = [_cell(system.spread("seconds"), 1 / 60), "–" if ratio is None else f"{ratio:.2f}"]
        lines.append(f"| {' | '.join([system.name, count, *scores, *noise, *cost])} |")
        if system.tuned:
            scores = [_cell(system.spread(name, tuned=True)) for name in METRICS]
            lines.append(f"| {system.name}, {TUNED} | {len(system.tuned)} | {' | '.join(scores)} | | | | |")
        if system.published is not None:
            metrics = [f"{x:.1f}" for x in system.published]
            lines.append(f"| *{system.name}: {_PUBLISHED}* | | {' | '.join(metrics)} | | | | |")
    if any(not r.refined and NOISE[0] in r.values for s in systems for r in s.results):
        remarks = ["w: the weak labels; the system refines none before its training.", *remarks]
    remarks = [*remarks, *(f"{s.name}: {s.note}" for s in systems if s.note)]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks)]).rstrip() + "\n"


def as_csv(systems: Sequence[System], source: str) -> str:
    """Return the table with full precision: a header, and a mean and a deviation column (``_sd``) per value.

    Args:
        systems: rows of the table; each is followed by its published row if there is one.
        source: description of the data that measured rows were measured on.
    """
    text = io.StringIO()
    names = [column for name in MEASURED for column in (name, f"{name}_sd")]
    rows = csv.DictWriter(
        text, ["system", "source", "seeds", "seeds_planned", *names, "noise_of", "ratio"], lineterminator="\n"
    )
    rows.writeheader()
    for system in systems:
        row: dict[str, object] = {"system": system.name, "source": source, "seeds": len(system.results)}
        row |= {"seeds_planned": system.seeds, "ratio": _ratio(system, systems[0])}
        if system.results:
            row["noise_of"] = "refined labels" if all(r.refined for r in system.results) else "weak labels"
        for name in MEASURED:
            row[name], row[f"{name}_sd"] = system.spread(name) or (None, None)
        rows.writerow(row)
        if system.tuned:
            row = {"system": system.name, "source": f"{source}, {TUNED}", "seeds": len(system.tuned)}
            for name in METRICS:
                row[name], row[f"{name}_sd"] = system.spread(name, tuned=True) or (None, None)
            rows.writerow(row)
        if system.published is not None:
            metrics = dict(zip(METRICS, system.published, strict=True))
            rows.writerow({"system": system.name, "source": _PUBLISHED, **metrics})
    return text.getvalue()


def _ratio(system: System, first: System) -> float | None:
    own, reference = system.spread("seconds"), first.spread("seconds")
    return own[0] / reference[0] if own and reference and reference[0] > 0 else None


def _of(system: System) -> str:
    return f"{len(system.results)} of {system.seeds}"


def _cell(spread: tuple[float, float | None] | None, scale: float = 1.0) -> str:
    if spread is None:
        return "–"
    mean, deviation = spread
    return f"{scale * mean:.1f} ± " + ("–" if deviation is None else f"{scale * deviation:.1f}")
