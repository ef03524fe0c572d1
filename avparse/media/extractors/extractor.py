"""What every extractor is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from avparse.media.decoding.chunks import Chunk


class Extractor(Protocol):
    """Turns decoded segments into features; what it computes for a segment must not depend on the chunk around it.

    Attributes:
        name, version: written beside stored features.
        sample_rate: of the sound it wants, samples a second.
        frames_per_segment, frame_size: of the pictures it wants; the size is (width, height).
        streams: dimension ``D`` of each stream it makes.
    """

    name: str
    version: str
    sample_rate: int
    frames_per_segment: int
    frame_size: tuple[int, int]
    streams: dict[str, int]

    def __call__(self, chunk: Chunk) -> dict[str, npt.NDArray[np.float32]]:
        """Return per stream float32 ``[segments, D]``, zero where its modality is absent."""
        ...
