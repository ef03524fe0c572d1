"""Files of a repeated extraction that have changed since the store was made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from avparse.data.store.stamp import UNKNOWN, Stamp, has_changed, stamp_of_file
from avparse.media.video_ids import file_id, video_id

_log = logging.getLogger(__name__)


class ChangedFiles:
    """Finds the files that are to be extracted, and stamps them.

    Args:
        done: stamp of the source of each video that the store has features of, by its id.
    """

    def __init__(self, done: Mapping[str, Stamp]) -> None:
        self._done = {video_id(video): stamp for video, stamp in done.items()}
        self._stamps: dict[str, Stamp] = {}

    def waiting(self, paths: Sequence[Path]) -> list[Path]:
        """Return those of some files that are new or have changed; the latter are told."""
        found = []
        for path in paths:
            before = self._done.get(file_id(path))
            if before is None:
                found.append(path)
            elif _differs(path, before):
                size = path.stat().st_size
                sizes = "other content" if size == before.size else f"{_size(before.size)} -> {_size(size)}"
                _log.warning("%s has changed (%s), extracted anew", path, sizes)
                found.append(path)
        unknown = sum(not before.sha256 for path in paths if (before := self._done.get(file_id(path))) is not None)
        if unknown:
            _log.warning(
                "%d videos were extracted by an earlier version, which did not note their files; if one has changed "
                "since, make the store again",
                unknown,
            )
        return found

    def tell_gone(self, folder: Path, paths: Sequence[Path], videos: Sequence[str]) -> None:
        """Tell of labelled videos of the store that have no file any more.

        Args:
            folder: folder of the files.
            paths: path of the file of each video that has one.
            videos: ids of all labelled videos.
        """
        there = {file_id(path) for path in paths}
        gone = [video for video in videos if video in self._done and video not in there]
        if gone:
            _log.warning(
                "%s: no file any more of %d videos of the store (such as '%s'), whose features stay",
                folder,
                len(gone),
                gone[0],
            )

    def stamped(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Yield the files, each stamped just before, so that a change during its extraction is found the next time."""
        for path in paths:
            try:
                self._stamps[str(path)] = stamp_of_file(path)
            except OSError:  # the extraction will say why
                self._stamps[str(path)] = UNKNOWN
            yield path

    def stamp(self, path: str) -> Stamp:
        """Return the stamp of a file that was extracted."""
        return self._stamps[path]

    def tell_kept(self, failed: Sequence[Path]) -> None:
        """Tell of files that have changed and cannot be read that the features of the earlier ones stay."""
        for path in failed:
            if file_id(path) in self._done:
                _log.warning("%s: cannot be read; the features of the earlier file stay in the store", path)


def _differs(path: Path, before: Stamp) -> bool:
    try:
        return has_changed(before, path)
    except OSError:  # it cannot be read now, which the extraction will tell
        return True


def _size(size: int) -> str:
    return f"{size / 1000:.0f} kB" if size >= 1000 else f"{size} B"
