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


def earlier_video(folder: Path, row: Output) -> ReportVideo | None:
    """Return a video that an earlier call parsed; its sound is not decoded again for a waveform.

    Args:
        folder: folder of the results.
        row: the video's row of the index.

    Returns:
        The video; None if its timeline is gone or damaged.
    """
    path = folder / row.json
    if not path.is_file():
        return None
    try:
        timeline = Timeline.load(path)
    except UserError as error:
        _log.warning("%s; it is not in the report", error)
        return None
    media = row.path if row.path.is_file() else None
    return ReportVideo(timeline=timeline, media=media, note="Parsed by an earlier call.")


def suits(rule: DecodingRule, video: ReportVideo) -> bool:
    """Return whether a rule can be that of a video: it has one threshold, or one for each of the video's classes."""
    thresholds = (rule.segment_threshold, rule.audio_gate_threshold, rule.visual_gate_threshold)
    return all(not isinstance(one, tuple) or len(one) == len(video.timeline.classes) for one in thresholds)
