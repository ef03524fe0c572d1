"""Timelines as a CSV table with one row per event."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from avparse.data.event_columns import EVENT_COLUMNS
from avparse.data.timeline import Timeline
from avparse.foundation.cells import without_controls
from avparse.foundation.errors import UserError
from avparse.foundation.rows import read_rows, write_rows


def kept_rows(path: Path, videos: Collection[str]) -> Iterator[list[str]]:
    """Return the rows of an earlier table of events, without those of ``videos``; none where there is no such table.

    The table is checked as a whole, then read row by row as the rows are asked for.

    Raises:
        UserError: there is a file that is not such a table; it is somebody's, and is not to be replaced.
    """
    if not path.exists():
        return iter(())
    again = {without_controls(video) for video in videos}
    try:
        for _ in _rows(path):
            pass
    except UserError as error:
        raise UserError(f"{error}; 'parse' did not write this table so: rename it, or choose another folder") from None
    return (list(row.values()) for row in _rows(path) if row["video"] not in again)


def count_events(path: Path) -> dict[str, Counter[tuple[str, str]]]:
    """Return the number of events by class and modality of each video in a table of events.

    Raises:
        UserError: the file is not such a table.
    """
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for row in _rows(path):
        counts.setdefault(row["video"], Counter())[row["class"], row["modality"]] += 1
    return counts


def _rows(path: Path) -> Iterator[dict[str, str]]:
    return (row for _, row in read_rows(path, EVENT_COLUMNS[:-1], EVENT_COLUMNS[-1:]))


def write_events_csv(path: str | Path, timelines: Iterable[Timeline], before: Iterable[Sequence[str]] = ()) -> None:
    """Write the events of all ``timelines`` as one CSV (UTF-8, comma, always with a header), atomically.

    The rows of an earlier table, ``before``, come first. A name that a spreadsheet would compute has an apostrophe
    before it. ``trained_on`` is the kind of data of a parser that was trained on data made by a program, else empty.
    Onset and offset are seconds with three decimals, scores have four, as in the JSON timeline.

    Raises:
        UserError: the file cannot be written.
    """
    rows = (
        (t.video, e.class_name, e.modality, f"{e.onset:.3f}", f"{e.offset:.3f}", f"{e.score:.4f}", t.trained_on)
        for t in timelines
        for e in t.events
    )
    write_rows(path, EVENT_COLUMNS, itertools.chain(before, rows))
