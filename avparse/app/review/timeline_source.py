"""Events of timelines under review: the files that ``parse`` writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from avparse.app.output_index import INDEX
from avparse.app.review.evidence import against_event
from avparse.app.review.source import Kind, Lanes, ReviewedVideo, Row, digest
from avparse.app.timeline_files import timeline_files
from avparse.data.made_up import MadeUp
from avparse.data.timeline import Event, Timeline
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.foundation.progress import track
from avparse.labels.reviewing.item import ReviewItem

_log = logging.getLogger(__name__)
_KEPT = 64  # timelines in memory


class TimelineSource:
    """Every event of some timelines is an item.

    Args:
        paths: paths of JSON timelines, and of folders of them.

    Raises:
        UserError: a file is no timeline, a folder holds none, two timelines are of one video, or none has an event.
    """

    kind: Kind = "timelines"
    lane_note = ""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.where = ", ".join(map(str, paths))
        self.made_up: MadeUp = ""
        self.videos: dict[str, ReviewedVideo] = {}
        self.rows: list[Row] = []
        self._files: dict[str, Path] = {}
        names: dict[str, None] = {}
        for file, given, timeline in track(_found(paths), "read timelines"):
            self._add(file, given, timeline)
            names.update(dict.fromkeys(timeline.classes))
        self.classes = list(names)
        if not self.rows:
            raise UserError(f"{self.where}: no timeline has an event, so there is nothing to review")
        self._load = lru_cache(_KEPT)(Timeline.load)

    def lanes(self, video: str, names: Sequence[str]) -> Lanes:
        """Return probabilities ``[T, len(names)]`` of some classes by modality, None where a modality is absent."""
        timeline = self._load(self._files[video])
        columns = [timeline.classes.index(name) for name in names]
        return {m: None if values is None else values[:, columns] for m, values in timeline.segments.items()}

    def _add(self, file: Path, given: Path | None, timeline: Timeline) -> None:
        video = timeline.video
        if video in self.videos:
            raise UserError(f"{file}: is of the video '{video}', as {self._files[video]} is; give one of the two")
        unknown = next((e for e in timeline.events if e.class_name not in timeline.classes), None)
        if unknown is not None:
            raise UserError(f"{file}: an event has the class '{unknown.class_name}', which 'classes' does not list")
        spans = [(e.class_name, e.modality, e.onset, e.offset) for e in timeline.events]
        start, unit = timeline.media_start, timeline.segment_seconds
        self.videos[video] = ReviewedVideo(timeline.duration, unit, digest(sorted(spans)), start, given)
        self._files[video], self.made_up = file, self.made_up or timeline.trained_on
        self.rows += [_row(timeline, event) for event in timeline.events]


def _row(timeline: Timeline, event: Event) -> Row:
    side = timeline.segments[event.modality]
    here = None if side is None else side[:, timeline.classes.index(event.class_name)]
    item = ReviewItem(
        video=timeline.video,
        class_name=event.class_name,
        modality="audio" if event.modality == MODALITIES[0] else "visual",
        probability=min(max(event.score, 0.0), 1.0),
        onset=event.onset,
        offset=event.offset,
        against=against_event(event, here, timeline.segment_seconds),
    )
    return Row(item, quality=item.probability)


def _found(paths: Sequence[Path]) -> Iterator[tuple[Path, Path | None, Timeline]]:
    """Yield file, path of the parsed video and timeline of everything that was given."""
    for path in paths:
        if not path.is_dir():
            yield path, None, Timeline.load(path)
        elif (path / INDEX).is_file():
            for file, source in timeline_files(path).items():
                yield file, source, Timeline.load(file)
        else:
            yield from _of_folder(path)


def _of_folder(folder: Path) -> Iterator[tuple[Path, None, Timeline]]:
    """Yield the timelines in a folder that has no table of results; other JSON files are told and left out."""
    found = 0
    for path in sorted(folder.glob("*.json")):
        try:
            timeline = Timeline.load(path)
        except UserError as error:
            _log.warning("left out: %s", error)
            continue
        found += 1
        yield path, None, timeline
    if not found:
        raise UserError(f"{folder}: neither a feature store nor a folder of timelines; give one of the two")
