"""The published features of pictures: ResNet-152 of eight frames a second, and R(2+1)D-18 of the clip that they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avparse.foundation.arrays import Float32Array, UInt8Array
from avparse.foundation.files import sha256_of
from avparse.media.card import library_versions
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import PictureView
from avparse.media.extractors.extractor import Stream
from avparse.media.extractors.published_settings import PublishedSettings
from avparse.media.weights import WEIGHTS, find_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

_FRAMES = 8  # of a segment


@dataclass(frozen=True)
class PictureNetwork:
    """A network of torchvision and the pictures that it was trained on.

    Attributes:
        name: name of the network, also in ``WEIGHTS``.
        dimension: numbers that it gives.
        side: pixels of a side of its pictures.
        shorter_side: pixels of the shorter side of a picture before its middle is cut out.
        mean, deviation: statistics of the channels in [0, 1].
        of_clips: whether it reads the frames of a segment as one clip, and not one by one.
    """

    name: str
    dimension: int
    side: int
    shorter_side: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    of_clips: bool = False


FRAMES = PictureNetwork("resnet152", 2048, 224, 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIPS = PictureNetwork(
    "r2plus1d_18", 512, 112, 128, (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989), of_clips=True
)


class PublishedPictures:
    """What a network makes of the eight frames of each segment.

    Args:
        network: the network and its pictures.
        resize: whether the middle of a frame is cut out, or the whole frame squashed.
        settings: settings of the extractor.
    """

    def __init__(self, network: PictureNetwork, resize: Literal["crop", "squash"], settings: PublishedSettings) -> None:
        self._about, self._settings = network, settings
        self._view = PictureView(
            (network.side, network.side),
            per_segment=_FRAMES,
            shorter_side=network.shorter_side if resize == "crop" else None,
            scaling="bilinear",
            picked="spread",
            offset_s=settings.offset_s,
        )
        self._keeps = settings.keep_frames and not network.of_clips
        dimension = network.dimension * (_FRAMES if self._keeps else 1)
        self.stream = Stream(dimension, self._view, self._features, self._facts)

    def _features(self, chunk: Chunk) -> Float32Array:
        values = np.zeros((chunk.segments, self.stream.dimension), dtype=np.float32)
        for row in np.flatnonzero(chunk.visual_present):  # one at a time: none depends on the others of a batch
            made = self._network_of(chunk.pictures[self._view][row])  # [1 or frames, D]
            values[row] = made.ravel() if self._keeps else made.mean(axis=0)
        return values

    def _network_of(self, pictures: UInt8Array) -> Float32Array:
        import torch  # noqa: PLC0415

        from avparse.media.towers.tower import choose_device  # noqa: PLC0415

        with torch.inference_mode():
            device = choose_device("auto")
            pixels = torch.from_numpy(self._normal(pictures)).to(device).permute(0, 3, 1, 2)  # [frames, 3, H, W]
            made: Tensor = self._network.to(device)(pixels.transpose(0, 1)[None] if self._about.of_clips else pixels)
            found: Float32Array = made.cpu().numpy()
            return found

    def _normal(self, pictures: UInt8Array) -> Float32Array:
        """Return the pictures ``[frames, H, W, 3]`` as the network reads their colours."""
        ordered = pictures[..., ::-1] if self._settings.channels == "bgr" else pictures
        mean, deviation = (np.array(x, dtype=np.float32) for x in (self._about.mean, self._about.deviation))
        normal: Float32Array = (ordered.astype(np.float32) / np.float32(255) - mean) / deviation
        return normal

    @cached_property
    def _network(self) -> nn.Module:
        return _residual(self._about.name, find_weights(self._about.name))

    def _facts(self) -> dict[str, Any]:
        together = "as one clip" if self._about.of_clips else "one after the other" if self._keeps else "their mean"
        return {
            "network": self._about.name,
            "weights_sha256": sha256_of(find_weights(self._about.name)),
            "mean": self._about.mean,
            "deviation": self._about.deviation,
            "processing": f"{self._settings.channels}, {_FRAMES} frames a segment, {together}",
            "libraries": library_versions("av", "numpy", "torch", "torchvision"),
            "licence": WEIGHTS[self._about.name].licence,
        }


@cache
def _residual(name: str, path: Path) -> nn.Module:
    """Return a network, once in each process whatever the settings of its extractors."""
    from avparse.media.networks.residual import load_residual  # noqa: PLC0415

    return load_residual(name, path)
