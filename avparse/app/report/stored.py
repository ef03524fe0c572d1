"""Timelines on disk, as ``parse`` or an import left them, and the media that they were made of."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avparse.app.output_index import OutputIndex
from avparse.app.timeline_files import timeline_files
from avparse.data.timeline import Timeline
from avparse.foundation.errors import UserError
from avparse.media.files import files_in
from avparse.media.video_ids import video_id

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredTimeline:
    """A timeline on disk.

    Attributes:
        path: path of its JSON file.
        timeline: timeline as it was read.
        media: path of the video; None if it is not known or gone.
    """

    path: Path
    timeline: Timeline
    media: Path | None = None


def key_of(video: str) -> str:
    """Return what two timelines of one video have in common: the name of its file without the ending."""
    return video_id(os.path.basename(video))


class StoredTimelines:
    """The timelines of a folder, or the one in a file, read one at a time as they are asked for.

    Args:
        given: path of a folder of timelines, with or without the ``index.csv`` of ``parse``, or of one JSON file.
        media: folder in which videos are looked for by their names; None for where the index says.

    Raises:
        UserError: there is no timeline at ``given``, or its index is damaged.
    """

    def __init__(self, given: Path, media: Path | None = None) -> None:
        self.given = given
        self._media = None if media is None else {key_of(path.name): path for path in files_in(media, stills=True)}
        self._inputs: dict[str, Path] = {}  # by name of the JSON file
        if given.is_dir():
            self.files = self._of_folder()
        elif given.is_file():
            self.files = [given]
        else:
            raise UserError(f"{given}: no such file or folder; give a folder that 'avparse parse' wrote, or a timeline")
        if not self.files:
            raise UserError(f"{given}: holds no timeline; give a folder that 'avparse parse' wrote, or a JSON timeline")

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[StoredTimeline]:
        for path in self.files:
            found = self._read(path)
            if found is not None:
                yield found

    def names(self) -> dict[str, Path]:
        """Return the file of the timeline of each video, by title and by :func:`key_of`."""
        known = {} if not self._inputs else {row.json: row.video for row in OutputIndex(self.given, []).rows()}
        names: dict[str, Path] = {}
        for path in self.files:
            title = known.get(path.name)
            if title is None:
                found = self._read(path)
                if found is None:
                    continue
                title = found.timeline.video
            names[title] = path
            names.setdefault(key_of(title), path)
        return names

    def _of_folder(self) -> list[Path]:
        found = timeline_files(self.given)
        self._inputs = {path.name: source for path, source in found.items() if source is not None}
        return list(found)

    def _read(self, path: Path) -> StoredTimeline | None:
        """Return a timeline with its media; None for a file of a folder that holds none, which is told."""
        try:
            timeline = Timeline.load(path)
        except UserError as error:
            if len(self.files) == 1:
                raise
            _log.warning("%s; it is left out", error)
            return None
        if self._media is not None:
            return StoredTimeline(path, timeline, self._media.get(key_of(timeline.video)))
        media = self._inputs.get(path.name)
        return StoredTimeline(path, timeline, media if media is not None and media.is_file() else None)
