"""Parsing of video files to files: a JSON timeline for each, a table of all events, and a report page."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from avparse.app.parsing import Only, Parsed, media_files, parse_videos
from avparse.app.report.csv import kept_rows, write_events_csv
from avparse.app.report.page import ReportVideo, write_report
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.files import writing
from avparse.foundation.locks import LOCK, Lock
from avparse.media.decoding.waveform import waveform_peaks
from avparse.media.feature_cache import FeatureCache
from avparse.media.pipeline import Failed
from avparse.models.parsers import AnyParser
from avparse.models.parsers.classes import class_embeddings, with_classes
from avparse.models.trained import TrainedParser

_log = logging.getLogger(__name__)
_WAVEFORM_BINS = 2000


def parse_files(
    inputs: Sequence[Path],
    run: str | Path,
    out: Path,
    *,
    classes: Path | None = None,
    vectors: Path | None = None,
    labels: str | None = None,
    workers: int | None = None,
) -> list[Failed]:
    """Parse videos into ``out``: ``NAME.json`` for each, ``events.csv`` of all, and ``report.html``.

    Rows of ``events.csv`` of videos that an earlier call parsed are kept.

    A call that was interrupted continues when it is repeated: until the end, features are stored in ``out/.parsing``.

    Args:
        inputs: paths of files, or of folders whose files are parsed.
        run: path of the folder of a trained run.
        out: folder of the results, created if it does not exist; files of the same name are replaced.
        classes: path of other class names, one per line; None for the classes of the run.
        vectors: path of the class vectors of ``classes``; None to read them from the run's own source.
        labels: classes that may appear, separated by commas, or the path of a table ``video,labels``.
        workers: number of decoding processes; None for all cores.

    Returns:
        The files that could not be read; the others are parsed.

    Raises:
        UserError: no file could be read, a class is unknown, or the run cannot parse videos, or not these classes.
    """
    paths, trained = media_files(inputs), TrainedParser.open(run)
    parser, untrained = parser_for(trained, classes, vectors)
    only = _restriction(labels, parser.spec.classes, paths)
    names, titles = _unique_names(paths), _titles(paths)
    parsed: list[Parsed] = []
    failures: list[Failed] = []
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with Lock(out / LOCK, out):
        cache = FeatureCache(out / ".parsing", trained.spec.extractors, trained.spec.segment_seconds)
        results = parse_videos(paths, trained, parser=parser, only=only, workers=workers, cache=cache)
        for name, title, result in zip(names, titles, results, strict=True):
            if isinstance(result, Failed):
                failures.append(result)
            else:
                parsed.append(replace(result, timeline=replace(result.timeline, video=title)))
                parsed[-1].timeline.save(out / f"{name}.json")
        if not parsed:
            raise UserError(failures[0].reason)
        events = out / "events.csv"
        write_events_csv(events, [p.timeline for p in parsed], kept_rows(events, titles))
        note = f"The parser was not trained on: {', '.join(untrained)}." if untrained else ""
        entries = [report_video(p, note=note) for p in parsed]
        write_report(out / "report.html", entries, title="avparse", rule=trained.rule)
        cache.remove()
    return failures


def report_video(
    parsed: Parsed,
    truth: dict[str, BoolArray] | None = None,
    weak_labels: Sequence[str] | None = None,
    note: str = "",
) -> ReportVideo:
    """Return the entry of a parsed video for the report page."""
    return ReportVideo(
        timeline=parsed.timeline,
        media=parsed.path,
        waveform=waveform_peaks(parsed.path, _WAVEFORM_BINS, parsed.timeline.duration),
        truth=truth,
        weak_labels=weak_labels,
        note=note,
        gates=parsed.gates,
        only=parsed.only,
    )


def parser_for(
    trained: TrainedParser, classes: Path | None, vectors: Path | None = None
) -> tuple[AnyParser, list[str]]:
    """Return the parser of a run for the classes of a file, and those classes that it was not trained on.

    Args:
        trained: parser of a run.
        classes: path of the class names, one per line; None for those that the run was trained on.
        vectors: path of a file with their vectors; None to read them from the run's own source of class vectors.

    Raises:
        UserError: the run's parser or its thresholds belong to the classes it was trained on, or the names or their
            vectors cannot be read.
    """
    parser = trained.load()
    if classes is None:
        if vectors is not None:
            raise UserError(f"--label-vectors {vectors}: belongs to a list of classes; give it with --classes")
        return parser, []
    names = Vocabulary.read(classes).names
    if trained.rule.by_class:
        tuned = trained.path / "decoding.json"  # takes precedence over the recipe's rule
        where = tuned if tuned.is_file() else trained.path / "recipe.yaml"
        raise UserError(
            f"--classes {classes}: {where} has a threshold for each class that the run was trained on; "
            "give it one number for all"
        )
    try:
        changed = with_classes(parser, names, vectors)
    except UserError as error:
        raise UserError(f"--classes {classes}: {error}") from None
    untrained = [name for name in names if name not in parser.spec.classes]
    if untrained and not all(labels.config.tells for labels in class_embeddings(parser)):
        _log.warning(
            "%s was trained on class vectors that carry no meaning; its predictions of %s are arbitrary",
            trained.path,
            ", ".join(untrained),
        )
    return changed, untrained


def _unique_names(paths: Sequence[Path]) -> list[str]:
    taken: dict[str, int] = {}
    names = []
    for path in paths:
        count = taken[path.stem] = taken.get(path.stem, 0) + 1
        names.append(path.stem if count == 1 else f"{path.stem}-{count}")
    return names


def _titles(paths: Sequence[Path]) -> list[str]:
    """Return the title of each video in its timeline: the name of the file, or its path where two have one name."""
    count = Counter(path.name for path in paths)
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def _restriction(labels: str | None, classes: tuple[str, ...], paths: Sequence[Path]) -> Only:
    if labels is None:
        return lambda video: None
    vocabulary = Vocabulary(classes)
    if Path(labels).is_file():
        # Loads pyarrow, which is not needed for parsing.
        from avparse.data.datasets.tables import read_weak_table  # noqa: PLC0415

        known = {name: vocabulary.decode(video.weak) for name, video in read_weak_table(labels, vocabulary).items()}
        missing = [path.stem for path in paths if path.stem not in known]
        if missing:
            _log.warning(
                "%s: no row of %d of %d videos (such as '%s'); any class may appear in them",
                labels,
                len(missing),
                len(paths),
                missing[0],
            )
        return known.get
    names = vocabulary.decode(vocabulary.encode([name.strip() for name in labels.split(",")], "--labels"))
    return lambda video: names
