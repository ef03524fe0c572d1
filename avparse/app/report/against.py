"""What timelines are compared with: the timelines of another run, or a table of events that are the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from avparse.app.report.other import OtherEvents
from avparse.app.report.stored import StoredTimelines, key_of
from avparse.data.datasets.annotations import covers_middle
from avparse.data.datasets.tables import EventRow, read_event_table
from avparse.data.event_columns import NEEDED_COLUMNS
from avparse.data.timeline import Timeline
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.rows import read_rows


class Against(Protocol):
    """Where events to compare with come from.

    Attributes:
        label: short name of it on the pages.
    """

    label: str

    @property
    def names(self) -> Mapping[str, Any]:
        """What there is of each video, by its title or by :func:`key_of`."""
        ...

    def has(self, video: str) -> bool:
        """Return whether there are events of a video, by its title."""
        ...

    def of(self, timeline: Timeline) -> OtherEvents | None:
        """Return the events of the video of a timeline; None if there are none of this video."""
        ...

    def truth(self, timeline: Timeline) -> dict[str, BoolArray] | None:
        """Return the dense truth ``[T, C]`` of the video by modality; None if it is not known."""
        ...


class OtherRun:
    """Timelines of another run.

    Args:
        timelines: path of a folder of timelines or of one, as for :class:`StoredTimelines`.
        ours: path of the timelines that are compared; two single files are of one video, whatever their names.
    """

    def __init__(self, timelines: Path, ours: Path) -> None:
        stored = StoredTimelines(timelines)
        same = timelines.name == ours.name
        self.label = str(timelines) if same or not timelines.name else timelines.stem
        self._single = timelines if timelines.is_file() and ours.is_file() else None
        self.names: Mapping[str, Path] = stored.names()

    def has(self, video: str) -> bool:
        """Return whether the other run has a timeline of a video, by its title."""
        return self._single is not None or video in self.names or key_of(video) in self.names

    def of(self, timeline: Timeline) -> OtherEvents | None:
        """Return the events of the other timeline of a video; None if the other run has none of it."""
        path = self._single or self.names.get(timeline.video) or self.names.get(key_of(timeline.video))
        return None if path is None else OtherEvents.of_timeline(self.label, Timeline.load(path))

    def truth(self, timeline: Timeline) -> None:
        """Return None: another run is no truth."""


class TruthTable:
    """A table ``video,class,modality,onset,offset`` of the true events.

    Args:
        path: path of the table.

    Raises:
        UserError: the file is not such a table.
    """

    label = "truth"

    def __init__(self, path: Path) -> None:
        classes = dict.fromkeys(row["class"].strip() for _, row in read_rows(path, NEEDED_COLUMNS))
        if not classes:
            raise UserError(f"{path}: has no event; give a table with a row for each")
        self.names: Mapping[str, Sequence[EventRow]] = read_event_table(path, Vocabulary(tuple(classes)))

    def has(self, video: str) -> bool:
        """Return whether the table has a row of a video, by its title."""
        return key_of(video) in self.names

    def of(self, timeline: Timeline) -> OtherEvents | None:
        """Return the true events of the video of a timeline; None if the table has no row of it."""
        rows = self.names.get(key_of(timeline.video))
        return None if rows is None else OtherEvents(self.label, [row.event for row in rows])

    def truth(self, timeline: Timeline) -> dict[str, BoolArray] | None:
        """Return the truth on the segments of a timeline; a segment is on where an event covers its middle."""
        other, marked = self.of(timeline), dict[str, BoolArray]()
        if other is None:
            return None
        for modality in MODALITIES:
            values = timeline.segments.get(modality)
            if values is None:
                continue
            truth = marked[modality] = np.zeros(values.shape, dtype=bool)
            for event in other.events:
                if event.modality == modality and event.class_name in timeline.classes:
                    unit, end = timeline.segment_seconds, timeline.duration
                    active = covers_middle(event.onset, event.offset, len(values), unit, end)
                    truth[active, timeline.classes.index(event.class_name)] = True
        return marked
