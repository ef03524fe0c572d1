"""Videos of earlier calls of ``parse`` in the report, read back from their timelines."""

from __future__ import annotations

import logging
from pathlib import Path

from avparse.app.output_index import Output
from avparse.app.report.video import ReportVideo
from avparse.data.timeline import Timeline
from avparse.foundation.errors import UserError
from avparse.models.decoding import DecodingRule

_log = logging.getLogger(__name__)


def earlier_video(folder: Path, row: Output, rule: DecodingRule) -> ReportVideo | None:
    """Return a video that an earlier call parsed; its sound is not decoded again for a waveform.

    Args:
        folder: folder of the results.
        row: the video's row of the index.
        rule: decoding rule of the page.

    Returns:
        The video; None if its timeline is gone, damaged, or of other classes than the thresholds of ``rule``.
    """
    path, thresholds = folder / row.json, rule.segment_threshold
    if not path.is_file():
        return None
    try:
        timeline = Timeline.load(path)
    except UserError as error:
        _log.warning("%s; it is not in the report", error)
        return None
    if not isinstance(thresholds, float | int) and len(thresholds) != len(timeline.classes):
        return None
    media = row.path if row.path.is_file() else None
    return ReportVideo(timeline=timeline, media=media, note="Parsed by an earlier call.")
