"""A user's own labels as plain tables with commas, semicolons or tabs: weak labels a video, and dense events.

Weak labels: columns ``video, labels[, split]``; labels are separated by ``|`` or, where cells are not, by commas. Dense
events: columns ``video, class, modality, onset, offset`` (seconds, offset exclusive). Columns may come in any order and
others are ignored, so that the table of events that ``parse`` writes can be read. A video is named as its file, with or
without the ending. A video without any row in the table of events is taken as not annotated.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.datasets.feature_folders import FeatureFolder, find_folders
from avparse.data.datasets.splits import draw_splits
from avparse.data.event_columns import NEEDED_COLUMNS
from avparse.data.store.block import check_id
from avparse.data.store.format import SPLITS
from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES, Vocabulary, composed
from avparse.foundation.errors import UserError, closest, nearest
from avparse.foundation.rows import read_rows, seconds
from avparse.foundation.settings import PartConfig
from avparse.media.video_ids import video_id

LABELS, EVENTS, CLASSES = "labels.csv", "events.csv", "classes.txt"


class Tables:
    """A user's own data: ``labels.csv`` and, where given, ``classes.txt`` and ``events.csv`` in one folder.

    Its features come in one folder a stream, named as the stream, with a file ``ID.npy`` ``[T, D]`` a video.
    """

    class Config(PartConfig):
        """Settings.

        Attributes:
            segment_seconds: length of a segment, of which every feature file has one row, in seconds.
        """

        name: Literal["tables"] = "tables"
        segment_seconds: float = Field(1.0, gt=0)

    origin = "tables"
    description = "imported from plain tables"

    def __init__(self, config: Config) -> None:
        self.config = config

    def read(self, folder: Path) -> Annotations:
        """Read the tables of a folder.

        Raises:
            UserError: a table cannot be read, as for :func:`read_tables`; only the table of labels is required.
        """
        events, classes = folder / EVENTS, folder / CLASSES
        return read_tables(
            folder / LABELS,
            classes if classes.exists() else None,
            events if events.exists() else None,
            segment_seconds=self.config.segment_seconds,
        )

    def sources(self, features: Path) -> tuple[FeatureFolder, ...]:
        """Return a stream for each folder in ``features``."""
        return find_folders(features)


def read_tables(
    labels: str | Path,
    classes: str | Path | Vocabulary | None = None,
    events: str | Path | None = None,
    segment_seconds: float = 1.0,
) -> Annotations:
    """Read a table of weak labels and, where given, one of dense events; splits are drawn if the table names none.

    Args:
        labels: path of a table ``video,labels[,split]``.
        classes: the classes, or the path of their names, one per line; None for the labels that the table names, in
            alphabetical order, which a note tells with the number of their videos.
        events: path of a table ``video,class,modality,onset,offset``.
        segment_seconds: length of a segment in seconds.

    Raises:
        UserError: a file cannot be read or holds what it should not; file and line are named.
    """
    notes: list[str] = []
    if classes is None:
        vocabulary, note = _named_classes(labels)
        notes.append(note)
    else:
        vocabulary = classes if isinstance(classes, Vocabulary) else Vocabulary.read(classes)
    videos = read_weak_table(labels, vocabulary)
    places: dict[str, tuple[str, ...]] = {}
    if events is not None:
        dense = read_event_table(events, vocabulary)
        for video in videos.keys() & dense.keys():
            rows = dense[video]
            videos[video] = replace(videos[video], events=tuple(row.event for row in rows))
            places[video] = tuple(f"{events}:{row.line}" for row in rows)
        notes += _without_labels(f"{events}", list(dense), videos, labels)
    drawn = len(videos) > 1 and not any(video.split for video in videos.values())
    if drawn:
        videos, note = draw_splits(videos)
        notes.append(f"{labels}: {note}")
    return Annotations(vocabulary, videos, segment_seconds, notes=tuple(notes), places=places, drawn=drawn)


def _named_classes(labels: str | Path) -> tuple[Vocabulary, str]:
    """Return the classes that a table of weak labels names, in alphabetical order, and a note on them."""
    rows = read_rows(labels, ("video", "labels"), optional=("split",))
    counts = Counter(composed(name) for _, row in rows for name in dict.fromkeys(_names(row["labels"])))
    if not counts:
        raise UserError(f"{labels}: no video has a label; fill the column 'labels', or give the classes (--classes)")
    try:
        vocabulary = Vocabulary(tuple(sorted(counts)))
    except UserError as error:
        raise UserError(f"{labels}: {error}") from None
    listed = ", ".join(f"{name} {counts[name]}" for name in vocabulary)
    return vocabulary, f"{labels}: the classes are the labels that it names, with their videos: {listed}"


def _names(cell: str) -> list[str]:
    """Return the class names in a cell of the column ``labels``."""
    return [name.strip() for name in re.split(r"[|,]", cell) if name.strip()]


def _without_labels(events: str, named: list[str], videos: dict[str, AnnotatedVideo], labels: str | Path) -> list[str]:
    """Return a note on videos of a table of events that the table of labels does not name.

    Raises:
        UserError: no video of the table of events is named.
    """
    unknown = [video for video in named if video not in videos]
    if not unknown:
        return []
    hint = f"(such as '{unknown[0]}'{closest(unknown[0], videos.keys() - set(named))})"
    without = f"{events}: {len(unknown)} of its {len(named)} videos have no row in {labels} {hint}"
    if len(unknown) == len(named):
        raise UserError(f"{without}; name videos in both tables as their files are named")
    return [f"{without} and are left out"]


def read_weak_table(path: str | Path, vocabulary: Vocabulary) -> dict[str, AnnotatedVideo]:
    """Read a table of weak labels by id of the video; a video may have none.

    Raises:
        UserError: not such a table, an unknown class or split (the nearest is offered), an unsafe or repeated video;
            file and line are named.
    """
    lines: dict[str, int] = {}
    videos: dict[str, AnnotatedVideo] = {}
    for line, row in read_rows(path, ("video", "labels"), optional=("split",)):
        where, video, split = f"{path}:{line}", video_id(row["video"]), row["split"].strip()
        check_id(video, where)
        if video in lines:
            raise UserError(f"{where}: video '{video}' is in line {lines[video]} already; keep one of the two")
        if split not in SPLITS:
            raise UserError(f"{where}: unknown split '{split}'{nearest(split, filter(None, SPLITS))}")
        lines[video] = line
        videos[video] = AnnotatedVideo(split, vocabulary.encode(_names(row["labels"]), where), None, video)
    return videos


@dataclass(frozen=True)
class EventRow:
    """A row of a table of events.

    Attributes:
        line: number of the line in the file.
        event: the event of the row, in seconds.
    """

    line: int
    event: Event


def read_event_table(path: str | Path, vocabulary: Vocabulary) -> dict[str, list[EventRow]]:
    """Read a table of dense events; return the rows of each video by its id, in the order of the file.

    Raises:
        UserError: not such a table, an unknown class or modality (the nearest is offered), a time that is no number,
            negative, or not before its offset; file and line are named.
    """
    events: dict[str, list[EventRow]] = {}
    for line, row in read_rows(path, NEEDED_COLUMNS):
        where, video, modality = f"{path}:{line}", video_id(row["video"]), row["modality"].strip()
        if not video:
            raise UserError(f"{where}: no video is named; mend the row")
        name = vocabulary.names[vocabulary.index(row["class"].strip(), where)]
        if modality not in MODALITIES:
            raise UserError(f"{where}: unknown modality '{modality}'{nearest(modality, MODALITIES)}")
        onset, offset = (seconds(row[key], f"{where}: {key}") for key in ("onset", "offset"))
        if onset < 0:
            raise UserError(f"{where}: onset {onset:g} s is negative; times count from the start of the video")
        if onset >= offset:
            raise UserError(f"{where}: onset {onset:g} s is not before offset {offset:g} s; swap or remove the row")
        events.setdefault(video, []).append(EventRow(line, Event(name, modality, onset, offset)))
    return events
