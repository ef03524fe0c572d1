"""The files of labelled videos in a folder; each is named by the id of its video."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from avparse.foundation.errors import UserError, closest
from avparse.media.files import LeftOut, MediaFiles, find_media
from avparse.media.video_ids import file_id

_log = logging.getLogger(__name__)


def find_labelled(folder: Path, videos: Sequence[str], out: Path) -> MediaFiles:
    """Find the file of each labelled video, in the order of ``videos``; the other files are left out.

    Args:
        folder: folder of the files, which may be nested.
        videos: ids of the labelled videos.
        out: folder of the results; what lies in it is no input.

    Raises:
        UserError: there is no such folder, no file is that of a labelled video, or two are those of one video.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of videos")
    found = find_media([folder], out)
    labelled, files = set(videos), dict[str, Path]()
    for path in found.files:
        video = file_id(path)
        if video not in labelled:
            found.left.append(LeftOut(path, "unlabelled", f"no row of labels names '{video}'"))
        elif video in files:
            first, second = (one.relative_to(folder) for one in (files[video], path))
            raise UserError(f"{folder}: '{first}' and '{second}' are both video '{video}'; keep one, or rename it")
        else:
            files[video] = path
    missing = [video for video in videos if video not in files]
    others = {file_id(path) for path in found.files} - labelled
    if not files:
        raise UserError(
            f"{folder}: holds none of the {len(videos)} labelled videos "
            f"(such as '{missing[0]}'{closest(missing[0], others)}); name each file by its video's id"
            if missing
            else f"{folder}: the table of labels names no video; write a row for each"
        )
    if missing:
        told = f"no file of {len(missing)} of {len(videos)} labelled videos"
        _log.warning("%s: %s (such as '%s'%s)", folder, told, missing[0], closest(missing[0], others))
    if found.summary():
        _log.warning("%s", found.summary())
    found.left += [LeftOut(folder / video, "no file", f"no file of the labelled video '{video}'") for video in missing]
    return MediaFiles([files[video] for video in videos if video in files], found.left)
