"""What a media file decodes to, as flat arrays, for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.views import PictureView, SoundView

SAMPLE_RATE = 16000
SOUND = SoundView(SAMPLE_RATE)


@dataclass(frozen=True)
class Decoded:
    """A chunk with its sound ``[samples]`` and its pictures ``[segments, pictures, H, W, 3]``."""

    chunk: Chunk
    audio: np.ndarray
    frames: np.ndarray

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chunk, name)


def read_parts(
    path: Path, frames_per_segment: int = 8, frame_size: tuple[int, int] = (96, 72), **options: Any
) -> Iterator[Decoded]:
    """Yield a file chunk by chunk."""
    pictures = PictureView(frame_size, per_segment=frames_per_segment)
    for chunk in read_chunks(path, [SOUND, pictures], **options):
        yield Decoded(chunk, chunk.sounds[SOUND].ravel(), chunk.pictures[pictures])


def read_whole(path: Path, **options: Any) -> Decoded:
    """Return the whole file as one chunk."""
    (part,) = read_parts(path, chunk_segments=1000, **options)
    return part


def click_s(decoded: Decoded) -> float:
    """Return the second of the first loud sample."""
    return float(np.flatnonzero(np.abs(decoded.audio) > 0.2)[0]) / SAMPLE_RATE


def flash_segments(decoded: Decoded) -> list[int]:
    """Return the segments with a white picture."""
    return np.flatnonzero(decoded.frames.mean(axis=(2, 3, 4)).max(axis=1) > 150).tolist()
