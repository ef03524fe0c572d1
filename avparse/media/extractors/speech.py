"""Speech: whether somebody talks, as Silero VAD hears it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.foundation.files import sha256_of
from avparse.media.card import library_versions
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import SoundView
from avparse.media.extractors.extractor import Stream

if TYPE_CHECKING:
    from avparse.media.networks.silero_vad import SileroVad

_SAMPLE_RATE, _LEAD_S = 16000, 3.0
_SOUND = SoundView(_SAMPLE_RATE, lead_s=_LEAD_S)
_SURE = 1e-5  # the least probability, and the least doubt


class SpeechExtractor:
    """The log-odds that the sound of a segment is speech, ``speech`` of dimension one.

    The network listens from three seconds before the segment on, as its memory needs a past, and the probabilities of
    the segment's own 32 ms frames are averaged: the probability is about the share of the segment with speech.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: the stream ``speech``.
    """

    name = "speech"
    version = "1"

    def __init__(self) -> None:
        self.streams = {"speech": Stream(1, _SOUND, self._heard, _facts)}

    def _heard(self, chunk: Chunk) -> Float32Array:
        # Loads torch, which other extractors do without.
        import torch  # noqa: PLC0415

        values = np.zeros((chunk.segments, 1), dtype=np.float32)
        rows = np.flatnonzero(chunk.audio_present)
        if not len(rows):
            return values
        with torch.inference_mode():
            heard = self._network(torch.from_numpy(chunk.sounds[_SOUND][rows, 0])).sigmoid().numpy()
        # A frame belongs to the segment in which its middle is; the last segment may end early.
        middle_s = (np.arange(heard.shape[1]) + 0.5) * 512 / _SAMPLE_RATE - _LEAD_S
        left_s = chunk.end_s - chunk.start_s - rows * chunk.segment_seconds
        own = (middle_s >= 0) & (middle_s < np.minimum(left_s, chunk.segment_seconds)[:, None])
        share = np.where(own, heard, 0).sum(axis=1) / np.maximum(own.sum(axis=1), 1)
        share = np.clip(share, _SURE, 1 - _SURE)
        values[rows, 0] = np.log(share / (1 - share))
        return values

    @cached_property
    def _network(self) -> SileroVad:
        from avparse.media.networks.silero_vad import load_silero_vad  # noqa: PLC0415
        from avparse.media.weights import find_weights  # noqa: PLC0415

        return load_silero_vad(find_weights("silero-vad"))


def _facts() -> dict[str, Any]:
    from avparse.media.weights import WEIGHTS, find_weights  # noqa: PLC0415

    return {
        "network": "silero-vad",
        "weights_sha256": sha256_of(find_weights("silero-vad")),
        "libraries": library_versions("av", "numpy", "torch"),
        "licence": WEIGHTS["silero-vad"].licence,
    }
