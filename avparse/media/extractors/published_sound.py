"""The published sound features: VGGish of a second."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avparse.foundation.arrays import Float32Array
from avparse.foundation.files import sha256_of
from avparse.media.card import library_versions
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import SoundView
from avparse.media.extractors.extractor import Stream
from avparse.media.extractors.mel import SAMPLE_RATE, log_mel
from avparse.media.extractors.published_settings import WINDOWS, PublishedSettings
from avparse.media.weights import WEIGHTS, find_weights

if TYPE_CHECKING:
    from torch import Tensor

    from avparse.media.networks.vggish import PrincipalComponents, VGGish

_FRAMES, _DIMENSION = 96, 128
_PROCESSING = {
    "none": "",
    "pca": ", PCA clipped to [-2, 2]",
    "pca8": ", PCA clipped to [-2, 2] in 8 bit",
}


class PublishedSound:
    """VGGish of one window a segment, with or without its post-processing."""

    def __init__(self, settings: PublishedSettings) -> None:
        self._settings = settings
        seconds, self._first = WINDOWS[settings.window_s]
        self._view = SoundView(SAMPLE_RATE, seconds, offset_s=settings.offset_s)
        self.stream = Stream(_DIMENSION, self._view, self._features, self._facts)

    def _features(self, chunk: Chunk) -> Float32Array:
        values = np.zeros((chunk.segments, _DIMENSION), dtype=np.float32)
        for row in np.flatnonzero(chunk.audio_present):  # one at a time: none depends on the others of a batch
            frames = log_mel(chunk.sounds[self._view][row, 0])[self._first : self._first + _FRAMES]
            values[row] = self._network_of(frames)
        return values

    def _network_of(self, frames: Float32Array) -> Float32Array:
        import torch  # noqa: PLC0415

        from avparse.media.towers.tower import choose_device  # noqa: PLC0415

        with torch.inference_mode():
            device = choose_device("auto")
            made: Tensor = self._network.to(device)(torch.from_numpy(frames[None]).to(device)).cpu()
            found: Float32Array = (made if self._components is None else self._components(made))[0].numpy()
            return found

    @cached_property
    def _network(self) -> VGGish:
        return _vggish(find_weights("vggish"))

    @cached_property
    def _components(self) -> PrincipalComponents | None:
        if self._settings.postprocess == "none":
            return None
        from avparse.foundation.tensors import read_tensors  # noqa: PLC0415
        from avparse.media.networks.vggish import PrincipalComponents  # noqa: PLC0415

        parameters = read_tensors(find_weights("vggish-pca"), numpy_arrays=True)
        return PrincipalComponents(parameters, coded=self._settings.postprocess == "pca8")

    def _facts(self) -> dict[str, Any]:
        paths = [find_weights("vggish")]
        if self._settings.postprocess != "none":
            paths.append(find_weights("vggish-pca"))
        mel = f"log-mel 96 x 64 of 25 ms every 10 ms, from frame {self._first} on"
        return {
            "network": "VGGish",
            "weights_sha256": " ".join(map(sha256_of, paths)),
            "window_s": self._settings.window_s,
            "processing": f"{mel}{_PROCESSING[self._settings.postprocess]}",
            "libraries": library_versions("av", "numpy", "torch"),
            "licence": WEIGHTS["vggish"].licence,
        }


@cache
def _vggish(path: Path) -> VGGish:
    """Return the network, once in each process whatever the settings of its extractors."""
    from avparse.media.networks.loading import load_network  # noqa: PLC0415
    from avparse.media.networks.vggish import VGGish  # noqa: PLC0415

    return load_network(VGGish, path)
