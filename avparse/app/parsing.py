"""Videos become timelines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avparse.app.report.csv import write_events_csv
from avparse.app.report.page import ReportVideo, write_report
from avparse.data.datasets.tables import read_weak_table
from avparse.data.features import TaskSpec
from avparse.data.timeline import Decisions, Probabilities, Timeline, events_of
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.evaluation.prediction import predict_windows
from avparse.foundation.errors import UserError
from avparse.foundation.files import writing
from avparse.foundation.progress import track
from avparse.media.decoding.waveform import waveform_peaks
from avparse.media.extractors import EXTRACTORS
from avparse.media.feature_cache import KeptFeatures
from avparse.media.pipeline import Extracted, Failed, extract_videos
from avparse.models.decoding import DecodingRule
from avparse.models.parsers import AnyParser
from avparse.models.parsers.classes import label_embeddings, with_classes
from avparse.training.run import Run

_log = logging.getLogger(__name__)
_WAVEFORM_BINS = 2000
Only = Callable[[str], Sequence[str] | None]


@dataclass(frozen=True)
class Parsed:
    """A parsed video.

    Attributes:
        path: the file.
        timeline: probabilities and events.
        gates: per modality the probabilities ``[T, C]`` that opened its classes.
        only: the classes the parse was restricted to, None for all.
    """

    path: Path
    timeline: Timeline
    gates: dict[str, npt.NDArray[np.float32]]
    only: Sequence[str] | None


@overload
def parse(  # type: ignore[overload-overlap]  # a string is a path here, never an iterable of letters
    source: str | Path,
    run: str | Path | Run,
    *,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
) -> Timeline | Any: ...


@overload
def parse(
    source: Iterable[str | Path],
    run: str | Path | Run,
    *,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
) -> Iterator[Timeline | Failed]: ...


def parse(
    source: str | Path | Iterable[str | Path],
    run: str | Path | Run,
    *,
    labels: Sequence[str] | None = None,
    workers: int | None = None,
) -> Any:
    """Parse a video, or many: which events are heard and which are seen, second by second.

    Args:
        source: the path of a video or audio file of any length; a folder, whose files are meant; or several paths.
        run: a trained run whose features avparse can extract, or its folder.
        labels: the only classes that may appear, where a video's labels are known; None: any class of the run.
        workers: processes that decode, for several files; None: as many as there are cores, 0: none beside this one.

    Returns:
        For one file its timeline. For a folder or several paths an iterator over the results in the order of the files,
        each parsed when it is asked for: a timeline, or :class:`Failed` with the path of a file that could not be read
        and the reason. One bad file thus costs that file only.

    Raises:
        UserError: the one file cannot be read, the run has no trained parser or reads features that cannot be
            extracted, or a class is unknown.
    """
    opened = run if isinstance(run, Run) else Run.open(run)
    parser = opened.parser()
    if labels is not None:
        Vocabulary(parser.spec.classes).encode(labels, "labels")
    one = isinstance(source, str | Path) and not Path(source).is_dir()
    paths = _files([source] if isinstance(source, str | Path) else source)
    parsed = parse_videos(paths, opened, parser=parser, only=lambda video: labels, workers=workers)
    results = (result if isinstance(result, Failed) else result.timeline for result in parsed)
    if not one:
        return results
    (result,) = results
    if isinstance(result, Failed):
        raise UserError(result.reason)
    return result


def parse_videos(
    paths: Sequence[Path],
    run: Run,
    *,
    parser: AnyParser | None = None,
    only: Only = lambda video: None,
    workers: int | None = None,
    kept: KeptFeatures | None = None,
) -> Iterator[Parsed | Failed]:
    """Parse videos of any length with the parser of ``run``, in the order given.

    Args:
        paths: video or audio files.
        run: a trained run whose features avparse can extract.
        parser: in place of the run's own; see :func:`parser_for`.
        only: file stem -> the classes that may appear, None for all (a video whose weak label is known).
        workers: decoding processes; all cores by default.
        kept: where features are kept once extracted, and taken from where an earlier call was stopped.

    Raises:
        UserError: the run's features cannot be extracted from a video, or it has no trained parser.
    """
    spec = run.info.spec
    if spec.extractor not in EXTRACTORS:
        made_by = f"'{spec.extractor}'" if spec.extractor else "features of unknown origin"
        raise UserError(
            f"{run.path}: its parser reads {made_by}, which avparse cannot extract from a video "
            f"(known: {', '.join(sorted(EXTRACTORS))}); use a run trained on extracted features"
        )
    parser = parser or run.parser()
    results = _extracted(paths, spec, workers, kept)
    for path, result in zip(paths, track(results, "parse", total=len(paths)), strict=True):
        if isinstance(result, Failed):
            yield result
        else:
            yield parse_extracted(result, path, parser, run.recipe.decoding, only(path.stem))


def _extracted(
    paths: Sequence[Path], spec: TaskSpec, workers: int | None, kept: KeptFeatures | None
) -> Iterator[Extracted | Failed]:
    """Yield the features of each file, or why it has none: those that were kept, and the others by decoding."""
    done = set() if kept is None else {path for path in paths if path in kept}
    waiting = [path for path in paths if path not in done]
    # One video needs no second process.
    workers = 0 if len(waiting) == 1 else workers
    made = extract_videos(waiting, spec.extractor, segment_seconds=spec.segment_seconds, workers=workers)
    for path in paths:
        if kept is not None and path in done:
            yield kept.find(path) or Failed(str(path), f"{path}: changed while others were parsed; try again")
            continue
        result = next(made)
        if kept is not None and isinstance(result, Extracted):
            kept.keep(result)
        yield result


def parser_for(run: Run, classes: Path | None, vectors: Path | None = None) -> tuple[AnyParser, list[str]]:
    """Return the parser of a run for the classes of a file, and those of them that it was not taught.

    Args:
        run: a trained run.
        classes: names, one a line; None: those that the run was trained on.
        vectors: the file with their vectors, where the run's own source of label vectors is not to be asked.

    Raises:
        UserError: the run's parser or its thresholds belong to the classes it was trained on, or the names or their
            vectors cannot be read.
    """
    parser = run.parser()
    if classes is None:
        if vectors is not None:
            raise UserError(f"--label-vectors {vectors}: belongs to a list of classes; give it with --classes")
        return parser, []
    names = Vocabulary.read(classes).names
    if run.recipe.decoding.by_class:
        tuned = run.path / "decoding.json"  # wins over the recipe's rule
        where = tuned if tuned.is_file() else run.path / "recipe.yaml"
        raise UserError(
            f"--classes {classes}: {where} has a threshold for each class that the run was trained on; "
            "give it one number for all"
        )
    try:
        changed = with_classes(parser, names, vectors)
    except UserError as error:
        raise UserError(f"--classes {classes}: {error}") from None
    untrained = [name for name in names if name not in parser.spec.classes]
    if untrained and not all(labels.config.tells for labels in label_embeddings(parser)):
        _log.warning(
            "%s was trained on label vectors that say nothing of a class; what it finds of %s is arbitrary",
            run.path,
            ", ".join(untrained),
        )
    return changed, untrained


def parse_extracted(
    extracted: Extracted, path: Path, parser: AnyParser, rule: DecodingRule, only: Sequence[str] | None = None
) -> Parsed:
    """Parse the features of one video."""
    spec = parser.spec
    present = {"audio": extracted.audio_present, "visual": extracted.visual_present}
    output = predict_windows(
        rule.reading(parser),
        {name: torch.from_numpy(stream) for name, stream in extracted.streams.items()},
        torch.from_numpy(present["audio"]),
        torch.from_numpy(present["visual"]),
        window=spec.segments,
    )
    allowed = None if only is None else torch.from_numpy(np.isin(spec.classes, list(only))).unsqueeze(0)
    decisions = dict(zip(MODALITIES, rule.decide(output, allowed), strict=True))
    gates = dict(zip(MODALITIES, rule.gates(output), strict=True))

    def sides(values: Sequence[Tensor]) -> dict[str, Probabilities | None]:
        return {m: x[0].numpy() if present[m].any() else None for m, x in zip(MODALITIES, values, strict=True)}

    segments = sides((output.audio_segments, output.visual_segments))
    events = [
        event
        for m in MODALITIES
        if (values := segments[m]) is not None
        for event in events_of(
            decisions[m][0].numpy(), values, m, spec.classes, spec.segment_seconds, extracted.duration_s
        )
    ]
    timeline = Timeline(
        video=path.name,
        duration=extracted.duration_s,
        segment_seconds=spec.segment_seconds,
        classes=spec.classes,
        segments=segments,
        events=sorted(events, key=lambda e: (e.onset, e.offset, e.class_name, e.modality)),
        attention=None if output.attention is None else sides(tuple(output.attention)),
    )
    return Parsed(path, timeline, {m: gates[m][0].numpy() for m in MODALITIES}, only)


def report_video(
    parsed: Parsed,
    truth: dict[str, Decisions] | None = None,
    weak_labels: Sequence[str] | None = None,
    note: str = "",
) -> ReportVideo:
    """Return the entry of a parsed video for the report page."""
    return ReportVideo(
        timeline=parsed.timeline,
        media=parsed.path,
        waveform=waveform_peaks(parsed.path, _WAVEFORM_BINS),
        truth=truth,
        weak_labels=weak_labels,
        note=note,
        gates=parsed.gates,
        only=parsed.only,
    )


def parse_files(
    inputs: Sequence[Path],
    run: Run,
    out: Path,
    *,
    classes: Path | None = None,
    vectors: Path | None = None,
    labels: str | None = None,
    workers: int | None = None,
) -> list[Failed]:
    """Parse videos into ``out``: ``NAME.json`` each, ``events.csv`` of all, and ``report.html``.

    Called again after it was stopped, it goes on where it was: until the end, features lie in ``out/.parsing``.

    Args:
        inputs: files, or folders whose files are meant.
        run: a trained run.
        out: folder, made where it is missing; files of the same name are replaced.
        classes: see :func:`parser_for`.
        vectors: see :func:`parser_for`.
        labels: classes that may appear, with commas between, or the path of a table ``video,labels``.
        workers: see :func:`parse_videos`.

    Returns:
        The files that could not be read; the others are parsed.

    Raises:
        UserError: none could be read, an unknown class, or a run that cannot parse videos, or not these classes.
    """
    paths = _files(inputs)
    parser, untrained = parser_for(run, classes, vectors)
    only = _restriction(labels, parser.spec.classes, paths)
    names, titles = _unique_names(paths), _titles(paths)
    parsed: list[Parsed] = []
    failures: list[Failed] = []
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    kept = KeptFeatures(out / ".parsing", run.info.spec.extractor, run.info.spec.segment_seconds)
    results = parse_videos(paths, run, parser=parser, only=only, workers=workers, kept=kept)
    for name, title, result in zip(names, titles, results, strict=True):
        if isinstance(result, Failed):
            failures.append(result)
        else:
            parsed.append(replace(result, timeline=replace(result.timeline, video=title)))
            parsed[-1].timeline.save(out / f"{name}.json")
    if not parsed:
        raise UserError(failures[0].reason)
    write_events_csv(out / "events.csv", [p.timeline for p in parsed])
    note = f"The parser was not trained on: {', '.join(untrained)}." if untrained else ""
    entries = [report_video(p, note=note) for p in parsed]
    write_report(out / "report.html", entries, title="avparse", rule=run.recipe.decoding)
    kept.remove()
    return failures


def _files(inputs: Iterable[str | Path]) -> list[Path]:
    """Return the files that are meant: those given, and those of the folders given."""
    return [file for given in map(Path, inputs) for file in (_media_files(given) if given.is_dir() else [given])]


def _media_files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UserError(f"{folder}: the folder holds no file to parse")
    return files


def _unique_names(paths: Sequence[Path]) -> list[str]:
    taken: dict[str, int] = {}
    names = []
    for path in paths:
        count = taken[path.stem] = taken.get(path.stem, 0) + 1
        names.append(path.stem if count == 1 else f"{path.stem}-{count}")
    return names


def _titles(paths: Sequence[Path]) -> list[str]:
    """Return what each video is called in its timeline: the name of the file, or its path where two have one name."""
    count = Counter(path.name for path in paths)
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def _restriction(labels: str | None, classes: tuple[str, ...], paths: Sequence[Path]) -> Only:
    if labels is None:
        return lambda video: None
    vocabulary = Vocabulary(classes)
    if Path(labels).is_file():
        table = read_weak_table(labels, vocabulary)
        known = {video: vocabulary.decode(weak) for video, weak in zip(table.videos, table.weak, strict=True)}
        missing = [path.stem for path in paths if path.stem not in known]
        if missing:
            _log.warning(
                "%s: no row of %d of %d videos (such as '%s'); any class may appear in them",
                *(labels, len(missing), len(paths), missing[0]),
            )
        return known.get
    names = vocabulary.decode(vocabulary.encode([name.strip() for name in labels.split(",")], "--labels"))
    return lambda video: names
