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
from avparse.app.report.folder import MOST_ON_ONE_PAGE, REPORT, PageFolder
from avparse.app.report.results import write_pages_index, write_single_page
from avparse.app.report.template import check_own
from avparse.app.report.video import ReportVideo
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
_SAVED_AT_ONCE, _SAVED_AT_ONCE_S = 32, 3600.0  # timelines, and their seconds, for each writing of the index


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
        saved = _Saved(index, source, pages=index.count_with(tried) > MOST_ON_ONE_PAGE)
        saved.take(tried, results)
        left = [*found.left, *failed.values(), *saved.failures]
        skipped.update(saved.names, left)
        if not saved.names:
            raise UserError(_none(left, skipped.path))
        saved.finish()
        cache.remove()
    return left


class _Saved:
    """What has been parsed in this call, written as it comes, so that no more than a few videos are in memory.

    Args:
        index: table of the results of all calls.
        source: origin of the parser.
        pages: whether each video gets a page of its own; otherwise their number is small, and they are kept for one.
    """

    def __init__(self, index: OutputIndex, source: ParserSource, pages: bool) -> None:
        self.names: dict[Path, str] = {}  # of the files of the timelines
        self.failures: list[LeftOut] = []
        self._index, self._source = index, source
        self._pages = PageFolder(index.folder) if pages else None
        self._waiting: list[Parsed] = []
        self._shown: list[ReportVideo] = []

    def take(self, paths: Sequence[Path], results: Iterator[Parsed | Failed]) -> None:
        """Take up the results as they come, each after its row of the index."""
        titles = self._index.titles()
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, Failed):
                self.failures.append(LeftOut(path, result.kind, result.reason))
                continue
            parsed = replace(result, timeline=replace(result.timeline, video=titles[path]))
            self.names[path] = self._index.add(path, parsed.timeline)
            self._waiting.append(parsed)
            seconds = sum(one.timeline.duration for one in self._waiting)
            if len(self._waiting) == _SAVED_AT_ONCE or seconds > _SAVED_AT_ONCE_S:
                self._save()
        if self._waiting:
            self._save()

    def _save(self) -> None:
        self._index.write()
        for parsed in self._waiting:
            name = self.names[parsed.path]
            parsed.timeline.save(self._index.folder / name)
            video = report_video(parsed, note=self._source.note)
            if self._pages is None:
                self._shown.append(video)
            else:
                self._pages.write(name, video, self._source.rule)
        self._waiting.clear()

    def finish(self) -> None:
        """Write the table of the events and the report, of this call and of earlier ones."""
        folder, rule = self._index.folder, self._source.rule
        events, now = folder / "events.csv", set(self.names.values())
        videos = {row.video for row in self._index.rows() if row.json in now}
        timelines = (Timeline.load(folder / name) for name in self.names.values())
        write_events_csv(events, timelines, kept_rows(events, videos))
        if self._pages is None:
            write_single_page(self._index, self._shown, now, rule)
        else:
            write_pages_index(self._index, self._pages, now, rule, self._source.spec.classes)


def _check_own(out: Path) -> None:
    """Refuse a folder in which a file of somebody else has a name that results have."""
    kept_rows(out / "events.csv", ())  # checks it
    if not (out / INDEX).exists() and not (out / "events.csv").exists():
        check_own(out / REPORT)


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
