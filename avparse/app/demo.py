"""The demo: all steps on a synthetic corpus: synthesise, extract, train, score, parse, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from avparse.app.extracting import extract_store
from avparse.app.parse_files import report_video
from avparse.app.parsing import Parsed, parse_videos
from avparse.app.report.page import ScoreTable, write_report
from avparse.app.report.video import ReportVideo
from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.llp import read_llp
from avparse.data.made_up import SYNTHETIC
from avparse.data.simulation.corpus import synthesise
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import COLUMNS, score_table
from avparse.evaluation.denoising import score_denoising
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text
from avparse.foundation.progress import Stages
from avparse.labels.table import RefinedLabels
from avparse.media.pipeline import Failed
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train

# The same parser, trained on the weak labels as they are and on those of another denoiser.
_RIVALS = {"HAN": "denoiser=null", "JoMoLD": "denoiser={name: jomold}"}
_SHOWN = 6
_OWN = "RLLD-plus"
_SHARES = {
    "synthesise": 50.0,
    "extract": 60.0,
    "HAN": 20.0,
    "JoMoLD": 16.0,
    _OWN: 95.0,
    "parse": 5.0,
}  # measured seconds


def demo(out: Path, *, videos: int = 300, seed: int = 0, clips: Sequence[Path] = (), workers: int | None = None) -> Run:
    """Run all steps on a corpus that is synthesised here; steps that are done already are not repeated.

    Args:
        out: path of the run folder; corpus and features are written next to it, to ``OUT-data``.
        videos: number of videos in the corpus.
        seed: seed of corpus and training.
        clips: paths of the user's own videos, which are parsed into the report as well.
        workers: number of processes for synthesis and extraction; None for all cores.

    Returns:
        The run; its folder holds ``report.html`` and ``comparison.md``.
    """
    for clip in clips:
        if not clip.is_file():
            raise UserError(f"{clip}: no such video")
    data = out.parent / f"{out.name}-data"
    stages = Stages(_SHARES)
    with stages.at("synthesise"):
        synthesise(data / "corpus", videos, seed, workers=workers)
    labels = read_llp(data / "corpus")
    with stages.at("extract"):
        left = extract_store(
            data / "corpus" / "videos", labels, data / "features", workers=workers, description=SYNTHETIC
        )
    failures = [one for one in left if not one.expected]
    if failures:
        raise UserError(f"{failures[0].path}: {failures[0].reason}; remove {data} and run the demo again")
    store = FeatureStore.open(data / "features")
    runs = {}
    for name, change in _RIVALS.items():
        with stages.at(name):
            runs[name] = train(load_recipe("demo", [change]), store, data / "runs" / name, seed=seed, resume=True)
    with stages.at(_OWN):
        run = train(load_recipe("demo"), store, out, seed=seed, resume=True)
    _compare({**runs, run.recipe.title: run}, store, run)
    unseen = [data / "corpus" / "videos" / store.origins[i] for i in _worth_showing(store)]
    with stages.at("parse"):
        parsed = parse_videos([*clips, *unseen], run.trained(), workers=workers)
        entries = [_entry(result, labels) for result in parsed]
    write_report(
        run.path / "report.html",
        entries,
        title="avparse demo",
        rule=run.recipe.decoding,
        scores=results_table(run),
    )
    return run


def _compare(runs: dict[str, Run], store: FeatureStore, run: Run) -> None:
    """Write ``comparison.md`` into ``run``: the noise of the labels before and after, and each system's scores."""
    labels = RefinedLabels.load(run.path / "labels.parquet", store.vocabulary)
    audio, visual, _ = store.dense_truth(labels.rows(store.videos, store.weak))
    truth = [torch.from_numpy(side.any(axis=1)) for side in (audio, visual)]
    kept = [torch.from_numpy(labels.side(modality)[0] >= 0.5) for modality in MODALITIES]
    quality = score_denoising(labels.given, kept[0], kept[1], truth[0], truth[1], labels.classes)
    text = (
        f"Labels of the {len(labels.videos)} training videos as refined by {run.recipe.title}, against the truth of "
        f"{SYNTHETIC}, percent.\n\n{quality.as_markdown(False)}\n\n"
        + score_table(
            {name: r.scores for name, r in runs.items()},
            f"{run.results().videos} unseen test videos, percent. The parsers differ only in the labels that they "
            "were trained on.",
        )
    )
    write_text(run.path / "comparison.md", text)


def results_table(run: Run) -> ScoreTable:
    """Return the score table of a finished run for the report."""
    results = run.results()
    rows: list[tuple[str, list[float | str | None]]] = [
        (name, list(metrics.values())) for name, metrics in results.scores.items()
    ]
    return ScoreTable(list(COLUMNS), rows, f"F in percent on {results.videos} unseen test videos.")


def _worth_showing(store: FeatureStore) -> list[int]:
    """Select unseen videos in which different events are heard and seen, each with another label."""
    test = store.select("test")
    audio, visual, _ = store.dense_truth(test)
    differ = (audio != visual).any(axis=1).sum(axis=-1) + 0.1 * (audio & visual).any(axis=1).sum(axis=-1)
    chosen: list[int] = []
    seen = np.zeros(len(store.vocabulary), dtype=bool)
    for position in test[np.argsort(-differ, kind="stable")]:
        if (store.weak[position] & ~seen).any():
            chosen.append(int(position))
            seen |= store.weak[position]
        if len(chosen) == _SHOWN:
            break
    return chosen


def _entry(parsed: Parsed | Failed, labels: Annotations) -> ReportVideo:
    if isinstance(parsed, Failed):
        raise UserError(parsed.reason)
    video = parsed.path.stem
    if video not in labels.videos:
        return report_video(parsed, note="Your own video: no truth is known.")
    timeline = parsed.timeline
    segments = max(len(s) for s in timeline.segments.values() if s is not None)
    truth = {m: labels.dense(video, m, segments, timeline.segment_seconds, timeline.duration) for m in MODALITIES}
    return report_video(
        parsed,
        truth={m: t for m, t in truth.items() if t is not None},
        weak_labels=labels.vocabulary.decode(labels.videos[video].weak),
        note="Unseen test video.",
    )
