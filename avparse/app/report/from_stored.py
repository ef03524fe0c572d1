"""Report pages of timelines on disk, alone or beside another run or the truth."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from avparse.app.output_index import INDEX
from avparse.app.report.against import Against, OtherRun, TruthTable
from avparse.app.report.folder import MOST_ON_ONE_PAGE, REPORT, PageFolder
from avparse.app.report.index_page import IndexRow, write_index
from avparse.app.report.other import Differences
from avparse.app.report.page import write_report
from avparse.app.report.stored import StoredTimeline, StoredTimelines
from avparse.app.report.template import check_own
from avparse.app.report.video import ReportVideo
from avparse.data.made_up import MadeUp
from avparse.data.timeline import Timeline
from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError, closest
from avparse.foundation.files import writing
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.still import is_still
from avparse.media.decoding.waveform import waveform_peaks
from avparse.models.decoding import DecodingRule

_log = logging.getLogger(__name__)
_WAVEFORM_BINS = 2000


@dataclass
class Reported:
    """What a report of stored timelines holds.

    Attributes:
        page: path of the page to open.
        videos: number of videos.
        compared: number of videos that had a counterpart.
        differences: sum of the differences from their counterparts.
        label: name of what they are compared with; empty without a comparison.
        made_up: kinds of data made by a program that parsers were trained on.
    """

    page: Path
    videos: int = 0
    compared: int = 0
    differences: Differences = field(default_factory=Differences)
    label: str = ""
    made_up: set[MadeUp] = field(default_factory=set)

    def __str__(self) -> str:
        lines = [f"{self.page}: {self.videos} video{'s' * (self.videos != 1)}"]
        if self.label:
            lines.append(f"{self.compared} compared with {self.label}: {self.differences.told(self.label)}")
        return "\n".join(lines)


def report_stored(
    timelines: Path,
    out: Path,
    *,
    against: Path | None = None,
    truth: Path | None = None,
    media: Path | None = None,
    rule: DecodingRule | None = None,
) -> Reported:
    """Write report pages of timelines on disk into ``out``: one page while they are few, else an index and a page each.

    Args:
        timelines: path of a folder that ``parse`` wrote, a folder of JSON timelines, or one of them.
        out: folder of the pages, created if need be.
        against: path of other timelines to compare with, of the same kinds.
        truth: path of a table of true events to compare with, ``video,class,modality,onset,offset``.
        media: folder in which the videos lie; None for where the index of ``parse`` says.
        rule: decoding rule of ``timelines``; None if it is not known, so that events are shown as they were stored.

    Raises:
        UserError: there is no timeline, none has a counterpart, both ``against`` and ``truth`` are given, or ``out``
            holds the report of ``parse`` or a page of somebody else.
    """
    if against is not None and truth is not None:
        raise UserError("--against and --truth: give one of the two; a page compares with one other")
    if (out / INDEX).exists():
        raise UserError(f"{out}: holds the report of 'avparse parse'; choose another folder for these pages")
    stored = StoredTimelines(timelines, media)
    other = _other(stored, against, truth)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    check_own(out / REPORT)
    done = Reported(out / REPORT, label="" if other is None else other.label)
    title = f"avparse: {stored.given.name}" + (f" against {other.label}" if other else "")
    if len(stored) > MOST_ON_ONE_PAGE:
        _write_pages(stored, other, done, title, rule)
    else:
        videos = [_video(found, other, done, waveform=True) for found in stored]
        write_report(done.page, videos, title=title, rule=rule)
    return done


def _other(stored: StoredTimelines, against: Path | None, truth: Path | None) -> Against | None:
    """Return what the timelines are compared with, if anything."""
    given = against or truth
    if given is None:
        return None
    other: Against = TruthTable(given) if against is None else OtherRun(given, stored.given)
    _check_shared(given, other, stored)
    return other


def _write_pages(
    stored: StoredTimelines, other: Against | None, done: Reported, title: str, rule: DecodingRule | None
) -> None:
    """Write the pages one after the other, with one video in memory, then their index."""
    pages, rows, classes = PageFolder(done.page.parent), list[IndexRow](), dict[str, None]()
    for found in stored:
        video = _video(found, other, done, waveform=False)
        pages.write(found.path.name, video, rule)
        classes |= dict.fromkeys(found.timeline.classes)
        rows.append(_row(found.timeline, pages.page(found.path.name), video))
    write_index(done.page, rows, title=title, classes=list(classes), label=done.label, simulated=bool(done.made_up))


def _row(timeline: Timeline, page: str, video: ReportVideo) -> IndexRow:
    counts = Counter((event.class_name, event.modality) for event in timeline.events)
    warnings = " | ".join(warning.message for warning in timeline.warnings)
    differences = None if video.other is None else video.other.differences(timeline)
    return IndexRow(timeline.video, page, timeline.duration, counts, warnings, differences)


def _video(found: StoredTimeline, other: Against | None, done: Reported, waveform: bool) -> ReportVideo:
    """Return a video of the report and add it to what is done."""
    timeline = found.timeline
    events = None if other is None else other.of(timeline)
    done.videos += 1
    done.made_up |= {timeline.trained_on} if timeline.trained_on else set()
    if events is not None:
        done.compared += 1
        done.differences += events.differences(timeline)
    return ReportVideo(
        timeline,
        media=found.media,
        waveform=_waveform(found.media, timeline.duration) if waveform and found.media else None,
        truth=None if other is None else other.truth(timeline),
        note="" if other is None or events is not None else f"In {other.label} there is nothing of this video.",
        other=events,
    )


def _waveform(media: Path, duration_s: float) -> Float32Array | None:
    try:
        return None if is_still(media) else waveform_peaks(media, _WAVEFORM_BINS, duration_s)
    except MediaError as error:
        _log.warning("%s; its page has no waveform", error)
        return None


def _check_shared(given: Path, other: Against, stored: StoredTimelines) -> None:
    """Refuse a comparison in which no timeline has a counterpart.

    Raises:
        UserError: no video is in both; a video and the nearest name are given.
    """
    ours = list(stored.names())
    if not any(other.has(name) for name in ours):
        hint = closest(ours[0], other.names) if ours else ""
        such = f" (such as '{ours[0]}'{hint})" if ours else ""
        raise UserError(f"{given}: has none of the videos of {stored.given}{such}; compare those of the same videos")
