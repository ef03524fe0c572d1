"""What a media file may ask for and cost, and what was wrong with it so far."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from avparse.foundation.settings import Settings
from avparse.media.decoding.problems import Kind, MediaError, MediaWarning

_log = logging.getLogger(__name__)
_MEMORY_LOOK_S = 0.25
_SPARE_S = 10.0  # content beyond the stated end that still earns time
_busy: Any = None  # a shared number: since when this process has been inside the decoder, 0 outside


class Limits(Settings):
    """What a media file may ask for, which its header tells before anything is decoded, and what decoding it may cost.

    Attributes:
        max_seconds: longest duration, in seconds.
        max_pixels: pixels of a picture.
        max_streams: streams in the file.
        max_sample_rate: samples a second of the sound.
        max_channels: channels of the sound.
        max_segments: segments of the result.
        max_gap_seconds: longest time that a picture stands or a pause lasts; a longer pause is closed.
        max_idle_packets: packets of a stream, one after the other, that decode to nothing; the rest is left out.
        busy_seconds: computing time of the decoder before anything is decoded.
        busy_per_second: computing time that each second of decoded content allows in addition.
        stuck_seconds: time that a single call of the decoder may take, in a process of its own.
        max_memory_mb: mebibytes that decoding may add to its process.
    """

    max_seconds: float = Field(24 * 3600.0, gt=0)
    max_pixels: int = Field(64_000_000, gt=0)
    max_streams: int = Field(64, gt=0)
    max_sample_rate: int = Field(768_000, gt=0)
    max_channels: int = Field(64, gt=0)
    max_segments: int = Field(100_000, gt=0)
    max_gap_seconds: float = Field(600.0, gt=0)
    max_idle_packets: int = Field(2000, gt=0)
    busy_seconds: float = Field(30.0, gt=0)
    busy_per_second: float = Field(30.0, gt=0)
    stuck_seconds: float = Field(60.0, gt=0)
    max_memory_mb: int = Field(4096, gt=0)


DEFAULT_LIMITS = Limits()


class Guard:
    """Watches over the reading of one file.

    Each kind of warning is logged once and kept for the caller. Time is the computing time of the thread inside the
    decoder, so that a busy machine or a slow extractor does not spend it.

    Args:
        path: the media file, for messages.
        limits: limits of the size and cost of the file.
        tells: whether warnings are logged; False for a second reading of the same file.
    """

    def __init__(self, path: str | Path, limits: Limits = DEFAULT_LIMITS, tells: bool = True) -> None:
        self.path, self.limits, self._tells = path, limits, tells
        self.kinds: set[Kind] = set()
        self._fresh: list[MediaWarning] = []
        self._spent_s = self._earned_s = self._looked_s = 0.0
        self._stated_s = math.inf
        self._process = psutil.Process()
        self._memory = self._process.memory_info().rss

    def warn(self, kind: Kind, message: str) -> None:
        """Report ``message`` unless something of this ``kind`` was reported before."""
        if kind not in self.kinds:
            self.kinds.add(kind)
            self._fresh.append(MediaWarning(kind, message))
            if self._tells:
                _log.warning("%s: %s", self.path, message)

    def take_warnings(self) -> tuple[MediaWarning, ...]:
        """Return what was reported since the last call."""
        fresh, self._fresh = tuple(self._fresh), []
        return fresh

    def state(self, seconds: float) -> None:
        """Tell the duration that the header states; content far beyond it allows no more computing time."""
        self._stated_s = seconds

    def earn(self, seconds: float) -> None:
        """Tell how many seconds of content were decoded so far."""
        self._earned_s = max(self._earned_s, min(seconds, self._stated_s + _SPARE_S))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Measure a call of the decoder.

        Raises:
            MediaError: earlier calls have used up the time or the memory of this file.
        """
        self._check()
        begun_s = time.thread_time()
        if _busy is not None:
            _busy.value = time.monotonic()
        try:
            yield
        finally:
            if _busy is not None:
                _busy.value = 0.0
            self._spent_s += time.thread_time() - begun_s

    def refuse(self, what: str, value: float, limit: float) -> None:
        """Refuse a file whose header asks for more than is allowed.

        Raises:
            MediaError: ``value`` is above ``limit``.
        """
        if value > limit:
            asks = f"{value:.0f} {what}, where {limit:.0f} are allowed"
            raise MediaError(
                "limit", f"{self.path}: the header asks for {asks}; cut or convert the file, or raise the limit"
            )

    def _check(self) -> None:
        limits = self.limits
        allowed_s = limits.busy_seconds + limits.busy_per_second * self._earned_s
        if self._spent_s > allowed_s:
            spent = f"{self._spent_s:.0f} s of computing for {self._earned_s:.1f} s of content"
            raise self._over(f"decoding took {spent}, where {allowed_s:.0f} s are allowed", "busy_seconds")
        if self._spent_s - self._looked_s > _MEMORY_LOOK_S:
            self._looked_s = self._spent_s
            added = (self._process.memory_info().rss - self._memory) >> 20
            if added > limits.max_memory_mb:
                raise self._over(f"decoding took {added} MiB of memory, where {limits.max_memory_mb} are allowed")

    def _over(self, what: str, limit: str = "max_memory_mb") -> MediaError:
        return MediaError("budget", f"{self.path}: {what}; the file may be damaged: convert it, or raise '{limit}'")


def tell_busy(since: Any) -> None:
    """Let this process tell since when it has been inside the decoder.

    Args:
        since: a shared number with a ``value``: monotonic seconds, 0 outside the decoder.
    """
    global _busy  # noqa: PLW0603 (a process has one such number, whatever file it is on)
    _busy = since
