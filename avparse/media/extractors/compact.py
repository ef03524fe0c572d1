"""The compact extractor: two small published networks whose weights every package registry carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.files import sha256_of
from avparse.media.card import library_versions
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import PictureView, SoundView
from avparse.media.extractors.extractor import Stream
from avparse.media.weights import WEIGHTS, find_weights

if TYPE_CHECKING:
    from avparse.media.networks.aisfx import AiSFX
    from avparse.media.networks.efficientnet_lite0 import EfficientNetLite0

_PICTURES = PictureView((224, 224), per_second=2, shorter_side=224)
_SOUND = SoundView(44_100)
_SEEN = {"mean": (0.498,) * 3, "deviation": (0.502,) * 3, "processing": "mean over the pictures of a segment"}
_HEARD = {"processing": "segment brought to peak 1, at most 26 dB louder"}
_BATCH = 4  # segments that go through a network at once; what more need no longer stays in a processor's cache
_QUIETEST = 0.05  # peak below which a segment is not made louder, so that silence stays silent


class CompactExtractor:
    """What EfficientNet-Lite0 (ImageNet) sees and aiSFX (sound effects) hears in a segment, from that segment alone.

    The networks are loaded when the first file comes, in every process that works on files.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: ``pictures`` (mean of the features of two pictures a second, the middle of each cut out) and ``sounds``
            (of the segment brought to peak 1, but at most 26 dB louder; the released code does so with a whole file).
    """

    name = "compact"
    version = "1"

    def __init__(self) -> None:
        self._weights = find_weights("efficientnet-lite0"), find_weights("aisfx")
        self.streams = {
            "pictures": Stream(1280, _PICTURES, self._seen, partial(self._facts, 0, "efficientnet-lite0", _SEEN)),
            "sounds": Stream(512, _SOUND, self._heard, partial(self._facts, 1, "aisfx", _HEARD)),
        }

    def _facts(self, which: int, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "network": name,
            "weights_sha256": sha256_of(self._weights[which]),
            "libraries": library_versions("av", "numpy", "torch"),
            "licence": WEIGHTS[name].licence,
            **facts,
        }

    def _seen(self, chunk: Chunk) -> Float32Array:
        return _batches(chunk.pictures[_PICTURES], chunk.visual_present, 1280, self._see)

    def _heard(self, chunk: Chunk) -> Float32Array:
        return _batches(chunk.sounds[_SOUND][:, 0], chunk.audio_present, 512, self._hear)

    def _see(self, segments: npt.NDArray[Any]) -> Float32Array:
        import torch  # noqa: PLC0415 (other extractors do without)

        from avparse.media.networks.efficientnet_lite0 import normalised  # noqa: PLC0415

        with torch.inference_mode():
            each = self._pictures(normalised(segments.reshape(-1, *segments.shape[2:])))
            features: Float32Array = each.reshape(*segments.shape[:2], -1).mean(dim=1).numpy()
        return features

    def _hear(self, segments: npt.NDArray[Any]) -> Float32Array:
        import torch  # noqa: PLC0415

        from avparse.media.networks.aisfx import SHORTEST, log_mel  # noqa: PLC0415

        if segments.shape[1] < SHORTEST:
            raise UserError("segments are too short for the compact extractor; use 0.2 s or more")
        peaks = np.maximum(np.abs(segments).max(axis=1, keepdims=True), _QUIETEST)
        with torch.inference_mode():
            features: Float32Array = self._sounds(log_mel(torch.from_numpy(segments / peaks))).numpy()
        return features

    @cached_property
    def _pictures(self) -> EfficientNetLite0:
        from avparse.media.networks.efficientnet_lite0 import load_efficientnet_lite0  # noqa: PLC0415

        return load_efficientnet_lite0(self._weights[0])

    @cached_property
    def _sounds(self) -> AiSFX:
        from avparse.media.networks.aisfx import load_aisfx  # noqa: PLC0415

        return load_aisfx(self._weights[1])


def _batches(
    segments: npt.NDArray[Any], present: BoolArray, dimension: int, network: Callable[[npt.NDArray[Any]], Float32Array]
) -> Float32Array:
    """Return ``[segments, dimension]``: what the network makes of those that are present, zero for the others."""
    values = np.zeros((len(segments), dimension), dtype=np.float32)
    rows = np.flatnonzero(present)
    for first in range(0, len(rows), _BATCH):
        some = rows[first : first + _BATCH]
        values[some] = network(segments[some])
    return values
