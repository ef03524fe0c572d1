"""Files of reviewed videos: found once in the folders that were given, and never by a path from a request."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from avparse.app.review.source import ReviewedVideo
from avparse.foundation.errors import UserError
from avparse.foundation.platform import open_regular
from avparse.media.decoding.guard import Guard
from avparse.media.decoding.opened import open_tracks
from avparse.media.decoding.problems import MediaError
from avparse.media.files import files_in
from avparse.media.video_ids import file_id, video_id

_UNKNOWN = "application/octet-stream"


class MediaFiles:
    """The file of each video that has one.

    A link that leads out of the folders is passed over, also when it appears later.

    Args:
        folders: folders of files of videos; those of nested folders count, too.
        videos: reviewed videos by id.

    Raises:
        UserError: a folder is missing.
    """

    def __init__(self, folders: Sequence[Path], videos: Mapping[str, ReviewedVideo]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise UserError(f"--media {folder}: no such folder; give the folder of the videos")
        self._roots = [Path(os.path.realpath(folder)) for folder in folders]
        by_path: dict[str, Path] = {}
        by_id: dict[str, Path] = {}
        for folder in folders:
            for path in files_in(folder):
                if self._inside(path) is not None:
                    by_path[os.path.realpath(path)] = path
                    by_id.setdefault(file_id(path), path)
        self._files: dict[str, Path] = {}
        for video, about in videos.items():
            known = None if about.path is None else by_path.get(os.path.realpath(about.path))
            found = known or by_id.get(video_id(os.path.basename(video)))
            if found is not None:
                self._files[video] = found
        self._starts = {video: about.media_start for video, about in videos.items()}
        self.start = lru_cache(1024)(self._start)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, video: str) -> bool:
        return video in self._files

    def path(self, video: str) -> Path | None:
        """Return the file of a video as it is now; None where there is none inside the folders."""
        path = self._files.get(video)
        return None if path is None else self._inside(path)

    def kind(self, video: str) -> str:
        """Return the media type of a file, by its ending; nothing but sound and video is ever stated."""
        guessed = mimetypes.guess_type(self._files[video].name)[0] or _UNKNOWN
        return guessed if guessed.startswith(("audio/", "video/")) else _UNKNOWN

    def _inside(self, path: Path) -> Path | None:
        """Return where a path leads, if that is a regular file inside the folders."""
        try:
            real = Path(os.path.realpath(path, strict=True))
            if not any(root in real.parents for root in self._roots):
                return None
            open_regular(real).close()
        except OSError:
            return None
        return real

    def _start(self, video: str) -> float:
        """Return what the clock of a file shows at second 0 of its video."""
        known, path = self._starts[video], self.path(video)
        if known is not None or path is None:
            return known or 0.0
        try:
            with open_tracks(Guard(path)) as opened:
                return opened.origin_s
        except (MediaError, OSError):
            return 0.0
