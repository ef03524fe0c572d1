"""Timelines as a CSV table with one row per event."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from avparse.data.timeline import Timeline
from avparse.foundation.cells import guarded
from avparse.foundation.errors import UserError
from avparse.foundation.files import atomic_file
from avparse.foundation.names import writable
from avparse.foundation.reading import RECORDS, read_text

EVENT_COLUMNS = ("video", "class", "modality", "onset", "offset", "score")


def kept_rows(path: Path, videos: Sequence[str]) -> list[list[str]]:
    """Return the rows of an earlier table of events, without those of ``videos``; none where there is no such table."""
    if not path.is_file():
        return []
    try:
        header, *rows = csv.reader(io.StringIO(read_text(path, RECORDS.size), newline=""))
    except (UserError, ValueError, csv.Error):
        return []
    again = {guarded(writable(video)) for video in videos}
    known = tuple(header) == EVENT_COLUMNS
    return [row for row in rows if known and len(row) == len(EVENT_COLUMNS) and row[0] not in again]


def write_events_csv(path: str | Path, timelines: Sequence[Timeline], before: Sequence[Sequence[str]] = ()) -> None:
    """Write the events of all ``timelines`` as one CSV (UTF-8, comma, always with a header), atomically.

    The rows of an earlier table, ``before``, come first. A name that a spreadsheet would compute has an apostrophe
    before it. Onset and offset are seconds with three decimals, scores have four, as in the JSON timeline.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(EVENT_COLUMNS)
        rows.writerows(before)
        for timeline in timelines:
            video = guarded(timeline.video)
            rows.writerows(
                (
                    video,
                    guarded(e.class_name),
                    e.modality,
                    f"{e.onset:.3f}",
                    f"{e.offset:.3f}",
                    f"{e.score:.4f}",
                )
                for e in timeline.events
            )
        text.flush()
        text.detach()
