"""Videos of earlier calls of ``parse`` on the report page, read back from their timelines."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from avparse.app.output_index import OutputIndex
from avparse.app.report.page import ReportVideo
from avparse.data.timeline import Timeline
from avparse.foundation.cells import path_cell
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule

_log = logging.getLogger(__name__)
_MOST = 500  # earlier videos on a page; browsers grow slow


def earlier_videos(index: OutputIndex, now: Collection[Path], rule: DecodingRule) -> list[ReportVideo]:
    """Return entries of the videos that earlier calls parsed; their sound is not decoded again for a waveform.

    A video whose timeline is gone, damaged, or of other classes than the thresholds of ``rule`` is left out.

    Args:
        index: table of the results of all calls.
        now: paths of the videos that this call parsed.
        rule: decoding rule of the page.
    """
    return list(itertools.islice(_entries(index, {path_cell(path) for path in now}, rule), _MOST))


def report_title(index: OutputIndex, shown: int) -> str:
    """Return the title of the page, which says so if not all videos of the index are on it."""
    total = len(index.rows())
    return "avparse" if shown >= total else f"avparse: {shown} of {total} videos"


def _entries(index: OutputIndex, now: Collection[str], rule: DecodingRule) -> Iterator[ReportVideo]:
    thresholds = rule.segment_threshold
    for row in index.rows():
        path = index.folder / row.json
        if path_cell(row.path) in now or not path.is_file():
            continue
        try:
            timeline = Timeline.load(path)
        except UserError as error:
            _log.warning("%s; it is not on the page", error)
            continue
        if not isinstance(thresholds, float | int) and len(thresholds) != len(timeline.classes):
            continue
        media = row.path if row.path.is_file() else None
        yield ReportVideo(timeline=timeline, media=media, note="Parsed by an earlier call.")
