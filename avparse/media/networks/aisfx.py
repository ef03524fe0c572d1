"""aiSFX: a sound as 512 features, learned from libraries of sound effects.

Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects Libraries, ISMIR 2022. Weights:
``aisfx`` of :mod:`avparse.media.weights`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from avparse.foundation.tensors import read_tensors
from avparse.media.networks.loading import filled

SAMPLE_RATE, FEATURES = 44_100, 512
FFT, HOP, BANDS = 2048, 1024, 96
SHORTEST = 7 * HOP  # samples: eight frames, of which the pools leave one
_LOUDEST = 9.457798957824707  # of the log-mel values that it was trained on
_WIDTHS = (64, 128, 256, 512)


class AiSFX(nn.Module):
    """The network, from log-mel frames ``[N, frames, 96]``, at least eight, to features ``[N, 512]``."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (1, *_WIDTHS[:-1])
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in zip(inputs, _WIDTHS, strict=True))

    def forward(self, frames: Tensor) -> Tensor:
        """Return the features of sounds: their mean over frequency, then the largest over time."""
        maps = frames[:, None]
        for block in self.blocks:
            maps = block(maps)
            if block is not self.blocks[-1]:
                maps = nn.functional.max_pool2d(maps, 2)
        return maps.mean(dim=3).amax(dim=2)


class _Block(nn.Module):
    """Two convolutions, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        for convolve, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2)):
            maps = nn.functional.relu(norm(convolve(maps)))
        return maps


def load_aisfx(path: Path) -> AiSFX:
    """Return the network with the weights of a released file, frozen; its heads for labels of libraries are left out.

    Raises:
        UserError: the file cannot be read, or its tensors are not those of the network.
    """
    return filled(AiSFX(), read_tensors(path, numpy_scalars=True), _renamed, path)


def log_mel(sounds: Tensor) -> Tensor:
    """Return the frames ``[N, frames, 96]`` that the network reads of sounds ``[N, samples]`` at 44.1 kHz.

    Power in bands of the HTK mel scale from 0 to 22,050 Hz, each a mean over its triangle; then log10(1 + 10000 x) over
    the largest value of the sounds that it learned from. Frames are centred on every 1024th sample.
    """
    window = torch.hann_window(FFT)
    spectra = torch.stft(sounds, FFT, HOP, window=window, center=True, pad_mode="constant", return_complex=True)
    bands = spectra.abs().square().transpose(1, 2) @ _filters()
    return torch.log10(1 + 10_000 * bands) / _LOUDEST


@cache
def _filters() -> Tensor:
    """Return the triangles ``[1025, 96]``, each of sum 1."""

    def hertz(mels: np.ndarray) -> np.ndarray:
        return 700 * (10 ** (mels / 2595) - 1)

    edges = hertz(np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), BANDS + 2))
    bins = np.arange(FFT // 2 + 1)[:, None] * (SAMPLE_RATE / FFT)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return torch.from_numpy((triangles / triangles.sum(axis=0)).astype(np.float32))


def _renamed(name: str) -> str | None:
    """Return the name in :class:`AiSFX` of a released tensor; None of those of its heads."""
    if name.startswith("fc."):
        return None
    number, dot, rest = name.removeprefix("embedding_net.conv_block").partition(".")
    return f"blocks.{int(number) - 1}{dot}{rest}" if number.isdecimal() else name
