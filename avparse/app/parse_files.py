"""Parsing of video files to files: a JSON timeline for each, tables of all of them, and a report page."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avparse.app.output_index import INDEX, OutputIndex
from avparse.app.parsing import Only, Parsed, parse_videos
from avparse.app.report.csv import kept_rows, write_events_csv
from avparse.app.report.earlier import earlier_videos, report_title
from avparse.app.report.page import ReportVideo, write_report
from avparse.app.skipped import SKIPPED, SkippedTable, split_tried
from avparse.data.timeline import Timeline
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError, closest
from avparse.foundation.files import writing
from avparse.foundation.locks import LOCK, Lock
from avparse.media.decoding.guard import DEFAULT_LIMITS, Limits
from avparse.media.decoding.still import is_still
from avparse.media.decoding.waveform import waveform_peaks
from avparse.media.feature_cache import FeatureCache
from avparse.media.files import LeftOut, find_media
from avparse.media.pipeline import Failed
from avparse.media.video_ids import file_id
from avparse.models.source import ParserSource

_log = logging.getLogger(__name__)
_WAVEFORM_BINS = 2000
_SILENT = np.zeros((0, 2), dtype=np.float32)  # waveform of a file without sound
_SAVED_AT_ONCE = 32  # timelines for each writing of the index


def parse_files(
    inputs: Sequence[Path],
    source: ParserSource,
    out: Path,
    *,
    labels: str | None = None,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    retry_failed: bool = False,
) -> list[LeftOut]:
    """Parse videos into ``out``: a JSON timeline for each, ``index.csv``, ``events.csv``, ``skipped.csv``, a page.

    All of them hold the videos of earlier calls with the same folder, too. A call that was interrupted continues when
    it is repeated: until the end, features are stored in ``out/.parsing``.

    Args:
        inputs: paths of files, or of folders whose files are parsed, those of nested folders too.
        source: origin of the parser, such as a trained run.
        out: folder of the results, created if need be; those of an input that was parsed before are replaced.
        labels: classes that may appear, separated by commas, or the path of a table ``video,labels``.
        workers: number of decoding processes; None for all cores.
        limits: limits of the size and cost of a file.
        retry_failed: whether files that an earlier call could not read are tried again although they are unchanged.

    Returns:
        The files that have no result, as in ``skipped.csv``; the others are parsed.

    Raises:
        UserError: no file could be read, a class is unknown, a table in ``out`` is damaged or somebody else's, or the
            parser cannot parse videos.
    """
    found, spec = find_media(inputs, out), source.spec
    only = _restriction(labels, spec.classes, found.files)
    if found.summary():
        _log.warning("%s", found.summary())
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with Lock(out / LOCK, out):
        index, skipped = OutputIndex(out, found.files), SkippedTable(out / SKIPPED)
        _check_own(out)
        tried, failed = split_tried(found.files, skipped, retry_failed)
        cache = FeatureCache(out / ".parsing", spec.extractors, spec.segment_seconds)
        results = parse_videos(tried, source, only=only, workers=workers, cache=cache, limits=limits)
        parsed, failures = _saved(tried, results, index)
        left = [*found.left, *failed.values(), *failures]
        skipped.update((p.path for p in parsed), left)
        if not parsed:
            raise UserError(_none(left, skipped.path))
        events = out / "events.csv"
        write_events_csv(events, [p.timeline for p in parsed], kept_rows(events, {p.timeline.video for p in parsed}))
        entries = [report_video(p, note=source.note) for p in parsed]
        entries += earlier_videos(index, {p.path for p in parsed}, source.rule)
        write_report(out / "report.html", entries, title=report_title(index, len(entries)), rule=source.rule)
        cache.remove()
    return left


def _saved(
    paths: Sequence[Path], results: Iterator[Parsed | Failed], index: OutputIndex
) -> tuple[list[Parsed], list[LeftOut]]:
    """Write the results as they come, each after its row of the index, and return them and what failed."""
    parsed, failures, titles = list[Parsed](), list[LeftOut](), index.titles()
    waiting = list[tuple[str, Timeline]]()

    def save() -> None:
        index.write()
        for name, timeline in waiting:
            timeline.save(index.folder / name)
        waiting.clear()

    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Failed):
            failures.append(LeftOut(path, result.kind, result.reason))
            continue
        parsed.append(replace(result, timeline=replace(result.timeline, video=titles[path])))
        waiting.append((index.add(path, parsed[-1].timeline), parsed[-1].timeline))
        if len(waiting) == _SAVED_AT_ONCE:
            save()
    if waiting:
        save()
    return parsed, failures


def _check_own(out: Path) -> None:
    """Refuse a folder in which a file of somebody else has a name that results have."""
    known = kept_rows(out / "events.csv", ()) or (out / INDEX).exists()
    if (out / "report.html").exists() and not known and not (out / "events.csv").exists():
        raise UserError(f"{out / 'report.html'}: 'parse' did not write this page: rename it, or choose another folder")


def _none(left: Sequence[LeftOut], table: Path) -> str:
    """Return the message that no file could be read."""
    failures = [one for one in left if not one.expected]
    if len(failures) == 1:
        return failures[0].reason
    return f"none of {len(failures)} files could be read, listed in {table}; the first: {failures[0].reason}"


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
        waveform=_SILENT
        if is_still(parsed.path)
        else waveform_peaks(parsed.path, _WAVEFORM_BINS, parsed.timeline.duration),
        truth=truth,
        weak_labels=weak_labels,
        note=note,
        gates=parsed.gates,
        only=parsed.only,
    )


def _restriction(labels: str | None, classes: tuple[str, ...], paths: Sequence[Path]) -> Only:
    if labels is None:
        return lambda video: None
    vocabulary = Vocabulary(classes)
    if Path(labels).is_file():
        # Loads pyarrow, which is not needed for parsing.
        from avparse.data.datasets.tables import read_weak_table  # noqa: PLC0415

        known = {name: vocabulary.decode(video.weak) for name, video in read_weak_table(labels, vocabulary).items()}
        videos = [file_id(path) for path in paths]
        missing = [video for video in videos if video not in known]
        if missing:
            told = f"{labels}: no row of {len(missing)} of {len(paths)} videos (such as '{missing[0]}'"
            told += f"{closest(missing[0], known.keys() - set(videos))})"
            if len(missing) == len(paths):
                raise UserError(f"{told}; name videos in the table as their files are named")
            _log.warning("%s; any class may appear in them", told)
        return known.get
    names = vocabulary.decode(vocabulary.encode([name.strip() for name in labels.split(",")], "--labels"))
    return lambda video: names
