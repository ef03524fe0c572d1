"""Media files on a page: embedded while they are small, else linked."""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from avparse.foundation.errors import UserError
from avparse.media.decoding.rebased import rebased

EMBED_LIMIT_BYTES = 30_000_000
PAGE_LIMIT_FACTOR = 4  # browsers grow slow on pages of several hundred megabytes
_WORTH_MOVING_S = 0.05  # a smaller difference between player and timeline is not seen


def media_entry(media: Path | None, folder: Path, embed_limit_bytes: int) -> dict[str, Any] | None:
    """Return what a page in ``folder`` says of a media file; it is embedded up to a size, else linked.

    Raises:
        UserError: the file is missing or unreadable.
    """
    if media is None:
        return None
    try:
        size = media.stat().st_size
    except OSError as error:
        raise UserError(f"{media}: cannot be put into the report ({error.strerror}); check the path") from None
    link = Path(os.path.relpath(media, folder)).as_posix()
    return {"embedded": size <= embed_limit_bytes, "bytes": size, "link": link, "url": quote(os.fsencode(link))}


def data_uris(embedded: Sequence[tuple[int, Path, float]]) -> Iterator[tuple[int, Markup]]:
    """Yield the number of a video and its file as a data URI, one at a time, so that only one is in memory.

    The clock of a file that starts after 0 is moved, so that the player shows the seconds of the timeline.

    Args:
        embedded: number, path and start in seconds on the file's own clock of each video.

    Raises:
        UserError: a file is unreadable.
    """
    for number, media, start_s in embedded:
        kind = mimetypes.guess_type(media.name)[0] or "video/mp4"
        try:
            moved = rebased(media, start_s) if start_s > _WORTH_MOVING_S else None
            content = base64.b64encode(media.read_bytes() if moved is None else moved).decode("ascii")
        except OSError as error:
            raise UserError(f"{media}: cannot be put into the report ({error.strerror}); check the file") from None
        yield number, Markup(f"data:{kind};base64,{content}")
