"""Timelines as a CSV table with one row per event."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from avparse.data.timeline import Timeline
from avparse.foundation.files import atomic_file

EVENT_COLUMNS = ("video", "class", "modality", "onset", "offset", "score")


def write_events_csv(path: str | Path, timelines: Sequence[Timeline]) -> None:
    """Write the events of all ``timelines`` as one CSV (UTF-8, comma, always with a header), atomically.

    Onset and offset are seconds with three decimals, scores have four, as in the JSON timeline.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as file:
        # A file name that is not valid Unicode must not prevent the table; its invalid bytes become question marks.
        text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(EVENT_COLUMNS)
        for timeline in timelines:
            rows.writerows(
                (timeline.video, e.class_name, e.modality, f"{e.onset:.3f}", f"{e.offset:.3f}", f"{e.score:.4f}")
                for e in timeline.events
            )
        text.flush()
        text.detach()
