"""A copy of a media file whose clock begins at 0, for players that keep to the file's own clock."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av

from avparse.media.decoding.clock import Clock
from avparse.media.decoding.container import choose_streams, open_media
from avparse.media.decoding.guard import DEFAULT_LIMITS, Guard, Limits
from avparse.media.decoding.problems import MediaError

_WEB = {"vp8", "vp9", "av1", "opus", "vorbis"}


def rebased(path: str | Path, origin_s: float, limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """Return the file's sound and pictures as they are stored, with ``origin_s`` of its clock moved to 0.

    Args:
        path: the media file.
        origin_s: seconds on the file's own clock that become 0.
        limits: limits of the size and cost of the file.

    Returns:
        The content of a file in the same kind of container; None where that cannot be written.
    """
    guard, content = Guard(path, limits), io.BytesIO()
    try:
        with open_media(guard) as source:
            streams = [stream for stream in choose_streams(source, guard) if stream is not None]
            with av.open(content, "w", format=_container(source.format.name, streams)) as target:
                copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
                for packet in Clock(source, streams, guard).packets():
                    if packet.dts is None or packet.stream_index not in copies:
                        continue
                    shift = round(origin_s / packet.time_base)
                    packet.pts = None if packet.pts is None else packet.pts - shift
                    packet.dts -= shift
                    packet.stream = copies[packet.stream_index]
                    target.mux(packet)
    except (av.FFmpegError, ValueError, MediaError):  # a codec that the container does not take, damage
        return None
    return content.getvalue()


def _container(name: str, streams: list[Any]) -> str:
    """Return the name of the container to write in place of the one that was read."""
    if name.startswith("matroska"):
        return "webm" if {stream.codec_context.codec.canonical_name for stream in streams} <= _WEB else "matroska"
    return "mp4" if name.startswith("mov") else name
