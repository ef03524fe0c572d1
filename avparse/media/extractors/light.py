"""The light extractor: hand-made statistics of sound and pictures that need no weights and no network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from avparse.foundation.arrays import BoolArray, Float32Array, FloatArray, UInt8Array
from avparse.foundation.errors import UserError
from avparse.media.card import library_versions
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import PictureView, SoundView
from avparse.media.extractors.extractor import Stream
from avparse.media.extractors.light_picture import appearance_features, motion_features
from avparse.media.extractors.light_sound import sound_features
from avparse.media.extractors.mel import HOP, SAMPLE_RATE, WINDOW

_SOUND = SoundView(SAMPLE_RATE)
_PICTURES = PictureView((96, 72), per_segment=8)  # multiples of the grid


class LightExtractor:
    """Features of each segment from that segment alone, so they do not depend on how a file is cut into chunks.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: ``audio`` (log-mel statistics, rhythm, pitch), ``frames`` (colour, edges), ``clips`` (motion).
    """

    name = "light"
    version = "1"

    def __init__(self) -> None:
        width, height = _PICTURES.size
        blank = np.zeros((_PICTURES.count(1.0), height, width, 3), dtype=np.uint8)
        heard = len(sound_features(np.zeros(SAMPLE_RATE, dtype=np.float32)))
        self.streams = {
            "audio": Stream(heard, _SOUND, partial(_heard, heard), _facts),
            "frames": _picture_stream(appearance_features, blank),
            "clips": _picture_stream(motion_features, blank),
        }


def _heard(dimension: int, chunk: Chunk) -> Float32Array:
    """Return the features of the sound, ``[segments, dimension]``.

    Raises:
        UserError: the segments are too short to hold two frames of the log-mel front end.
    """
    sounds = chunk.sounds[_SOUND][:, 0]
    if sounds.shape[1] < WINDOW + 2 * HOP:
        raise UserError(
            f"segments of {chunk.segment_seconds} s are too short for the light extractor; use 0.1 s or more"
        )
    return _each(sound_features, sounds, chunk.audio_present, dimension)


def _picture_stream(features: Callable[[UInt8Array], FloatArray], blank: UInt8Array) -> Stream:
    dimension = len(features(blank))
    return Stream(
        dimension,
        _PICTURES,
        lambda chunk: _each(features, chunk.pictures[_PICTURES], chunk.visual_present, dimension),
        _facts,
    )


def _facts() -> dict[str, Any]:
    return {"libraries": library_versions("av", "numpy")}


def _each(
    features: Callable[[Any], FloatArray], segments: npt.NDArray[Any], present: BoolArray, dimension: int
) -> Float32Array:
    values = np.zeros((len(segments), dimension), dtype=np.float32)
    for row in np.flatnonzero(present):
        values[row] = features(segments[row])
    return values
