"""The main job from nothing: synthesise, extract, train, score, parse, show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avparse.app.extracting import VideoLabels, extract_store, llp_labels
from avparse.app.parsing import Parsed, parse_videos, report_video
from avparse.app.report import ReportVideo, ScoreTable, write_report
from avparse.data.corpus import synthesise
from avparse.data.llp import read_llp
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.comparison import COLUMNS
from avparse.foundation.errors import UserError
from avparse.media.pipeline import Failed
from avparse.training.loop import train
from avparse.training.recipe import load_recipe
from avparse.training.run import Run

DESCRIPTION = "synthetic corpus of real encoded videos"
_SHOWN = 6


def demo(out: Path, *, videos: int = 300, seed: int = 0, clips: Sequence[Path] = (), workers: int | None = None) -> Run:
    """Run the whole product on a corpus that it makes itself; what is done already is not done again.

    Args:
        out: the run folder; corpus and features go beside it, into ``OUT-data``.
        videos: size of the corpus.
        seed: of corpus and training.
        clips: the user's own videos, parsed into the report as well.
        workers: processes for synthesis and extraction; all cores by default.

    Returns:
        The run; its folder holds ``report.html``.
    """
    for clip in clips:
        if not clip.is_file():
            raise UserError(f"{clip}: no such video")
    data = out.parent / f"{out.name}-data"
    synthesise(data / "corpus", videos, seed, workers=workers)
    labels = llp_labels(read_llp(data / "corpus"))
    failures = extract_store(
        data / "corpus" / "videos", labels, data / "features", workers=workers, description=DESCRIPTION
    )
    if failures:
        raise UserError(f"{failures[0].path}: {failures[0].reason}; remove {data} and run the demo again")
    store = FeatureStore.open(data / "features")
    run = train(load_recipe("demo"), store, out, seed=seed, resume=True)
    unseen = [data / "corpus" / "videos" / store.sources[i] for i in _worth_showing(store)]
    parsed = parse_videos([*clips, *unseen], run, workers=workers)
    entries = [_entry(result, labels) for result in parsed]
    write_report(
        run.path / "report.html",
        entries,
        title="avparse demo",
        rule=run.recipe.decoding,
        scores=results_table(run),
        simulated=True,
    )
    return run


def results_table(run: Run) -> ScoreTable:
    """Return the score table of a finished run for the report."""
    results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    rows: list[tuple[str, list[float | str | None]]] = [
        (name, list(figures.values())) for name, figures in results["scores"].items()
    ]
    return ScoreTable(list(COLUMNS), rows, f"F in percent on {results['videos']} unseen test videos.")


def _worth_showing(store: FeatureStore) -> list[int]:
    """Pick unseen videos whose picture and sound tell different stories, each with another label."""
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


def _entry(parsed: Parsed | Failed, labels: VideoLabels) -> ReportVideo:
    if isinstance(parsed, Failed):
        raise UserError(parsed.reason)
    video = parsed.path.stem
    if video not in labels.weak:
        return report_video(parsed, note="Your own video: no truth is known.")
    timeline = parsed.timeline
    segments = max(len(s) for s in timeline.segments.values() if s is not None)
    truth = {m: labels.dense(video, m, segments, timeline.segment_seconds) for m in MODALITIES}
    return report_video(
        parsed,
        truth={m: t for m, t in truth.items() if t is not None},
        weak_labels=labels.vocabulary.decode(labels.weak[video]),
        note="Unseen test video.",
    )
