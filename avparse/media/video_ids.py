"""Ids of videos: one form of the name of a file, so that files, tables and stores can be compared."""

from __future__ import annotations

import unicodedata
from pathlib import Path

_ENDINGS = (
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .flv .wmv .asf .3gp .3g2 .ogv .mxf .vob .rm .rmvb .mjpeg "
    ".wav .mp3 .flac .m4a .aac .ogg .oga .opus .wma .aif .aiff .caf .amr .ac3 .mka"
)
MEDIA_ENDINGS = frozenset(_ENDINGS.split())


def video_id(name: str) -> str:
    """Return the id of a video, from the name of its file with or without the ending of a medium.

    The id is in Unicode form NFC, in which tables usually are; systems write names of files in other forms, too.

    Args:
        name: name of a file without its folder, or a cell of a table.
    """
    name = unicodedata.normalize("NFC", name).strip()
    while Path(name).suffix.lower() in MEDIA_ENDINGS:
        name = name[: -len(Path(name).suffix)].rstrip()
    return name


def file_id(path: Path) -> str:
    """Return the id of the video in a file: its name without the ending, whatever that is."""
    return video_id(path.stem)
