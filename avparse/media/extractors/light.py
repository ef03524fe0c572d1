"""The light extractor: hand-made statistics of sound and pictures that need no weights and no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import Chunk
from avparse.media.extractors.light_picture import appearance_features, motion_features
from avparse.media.extractors.light_sound import sound_features
from avparse.media.extractors.mel import HOP, SAMPLE_RATE, WINDOW, Floats


class LightExtractor:
    """Features of each segment from that segment alone, so they do not depend on how a file is cut into chunks.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        sample_rate, frames_per_segment, frame_size: what chunks must hold; the size is (width, height).
        streams: dimension of each stream: ``audio`` (log-mel statistics, rhythm, pitch), ``frames`` (colour, edges),
            ``clips`` (motion).
    """

    name = "light"
    version = "1"
    sample_rate = SAMPLE_RATE
    frames_per_segment = 8
    frame_size = (96, 72)  # multiples of the grid

    def __init__(self) -> None:
        width, height = self.frame_size
        blank = np.zeros((self.frames_per_segment, height, width, 3), dtype=np.uint8)
        self.streams = {
            "audio": len(sound_features(np.zeros(SAMPLE_RATE, dtype=np.float32))),
            "frames": len(appearance_features(blank)),
            "clips": len(motion_features(blank)),
        }

    def __call__(self, chunk: Chunk) -> dict[str, Floats]:
        """Return per stream float32 ``[segments, D]``, zero where the modality is absent.

        Raises:
            UserError: the segments are too short to hold two frames of the log-mel front end.
        """
        sounds = chunk.audio.reshape(chunk.segments, -1)
        if sounds.shape[1] < WINDOW + 2 * HOP:
            raise UserError(
                f"segments of {chunk.segment_seconds} s are too short for the light extractor; use 0.1 s or more"
            )
        return {
            "audio": self._each("audio", sound_features, sounds, chunk.audio_present),
            "frames": self._each("frames", appearance_features, chunk.frames, chunk.visual_present),
            "clips": self._each("clips", motion_features, chunk.frames, chunk.visual_present),
        }

    def _each(
        self, stream: str, features: Callable[[Any], Floats], segments: npt.NDArray[Any], present: npt.NDArray[np.bool_]
    ) -> Floats:
        values = np.zeros((len(segments), self.streams[stream]), dtype=np.float32)
        for row in np.flatnonzero(present):
            values[row] = features(segments[row])
        return values
