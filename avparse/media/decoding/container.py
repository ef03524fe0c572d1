"""Opening a media file: what it may ask for, what is wrong with it, and which of its streams count."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from avparse.foundation.errors import UserError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a file may ask for; checked on its header, before anything is decoded."""

    max_seconds: float = 24 * 3600.0
    max_pixels: int = 64_000_000
    max_streams: int = 64
    max_sample_rate: int = 768_000
    max_channels: int = 64


DEFAULT_LIMITS = Limits()


class Warnings:
    """Damage found in one file: each kind is logged once, under the logger ``avparse``, and kept for the caller."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._kinds: set[str] = set()
        self._fresh: list[str] = []

    def add(self, kind: str, message: str) -> None:
        """Report ``message`` unless something of this ``kind`` was reported before."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._fresh.append(message)
            _log.warning("%s: %s", self.path, message)

    def take(self) -> tuple[str, ...]:
        """Return what was added since the last call."""
        fresh, self._fresh = tuple(self._fresh), []
        return fresh


def open_media(path: str | Path, limits: Limits) -> InputContainer:
    """Open a media file and check its header against ``limits``.

    Raises:
        UserError: no such file, not a regular file, empty, not media, or beyond a limit.
    """
    file = Path(path)
    if file.is_dir():
        raise UserError(f"{path}: is a folder; name a video file")
    if not file.exists():
        raise UserError(f"{path}: no such file; check the path")
    if not file.is_file():
        raise UserError(f"{path}: not a regular file; copy the video to a file first")
    if file.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty; copy or download it again")
    try:
        # 'file:' and the whitelist keep names such as 'http:x', and playlists posing as videos, off the network.
        container = av.open(f"file:{file}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except PermissionError:
        raise UserError(f"{path}: permission denied; choose a file you may read") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path}: not a media file, or cut off ({reason}); replace it or convert it to mp4") from None
    try:
        _check_header(path, container, limits)
    except BaseException:
        container.close()
        raise
    return container


def find_stream(container: InputContainer, kind: str) -> Any:
    """Return the stream of ``kind`` ("audio" or "video") that players choose, or None; cover art is not a video."""
    able = [s for s in container.streams if s.type == kind and s.codec_context is not None and not _is_cover(s)]
    return next((s for s in able if s.disposition & av.stream.Disposition.default), able[0] if able else None)


def header_seconds(container: InputContainer) -> float | None:
    """Return the duration in seconds that the header states, None where it states none."""
    return None if container.duration is None else float(container.duration / av.time_base)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _check_header(path: str | Path, container: InputContainer, limits: Limits) -> None:
    if container.format.name == "tty":  # the demuxer that draws any text as moving letters
        raise UserError(f"{path}: a text file, not a media file; name a video file")
    asked: list[tuple[str, float, float]] = [
        ("streams", len(container.streams), limits.max_streams),
        ("seconds", header_seconds(container) or 0.0, limits.max_seconds),
    ]
    for stream in container.streams:
        context: Any = stream.codec_context
        if context is not None and stream.type == "video":
            asked.append(("pixels a frame", context.width * context.height, limits.max_pixels))
        elif context is not None and stream.type == "audio":
            asked.append(("samples a second", context.sample_rate or 0, limits.max_sample_rate))
            asked.append(("channels", context.channels or 0, limits.max_channels))
    for what, value, limit in asked:
        if value > limit:
            asks = f"{value:.0f} {what}, where {limit:.0f} are allowed"
            raise UserError(f"{path}: the header asks for {asks}; cut or convert the file, or raise the limit")
