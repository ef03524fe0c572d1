"""VGGish (Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

FRAMES, BANDS = 96, 64  # of the log-mel picture that it reads
DIMENSION = 128
_WIDTHS: tuple[int | None, ...] = (64, None, 128, None, 256, 256, None, 512, 512, None)  # None: 2x2 max pool
_HIDDEN = 4096
_LIMIT = 2.0  # of what PCA gives, before it is coded in 8 bit
_LEVELS = 255


class VGGish(nn.Module):
    """Log-mel pictures of about a second to 128 numbers; the names of its tensors are those of the PyTorch release."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_convolutions())
        sizes = (512 * (FRAMES // 16) * (BANDS // 16), _HIDDEN, _HIDDEN, DIMENSION)
        linear = [(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(sizes)]
        self.embeddings = nn.Sequential(*(layer for pair in linear for layer in pair))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features ``[n, 128]`` of log-mel pictures ``[n, 96, 64]``."""
        maps = self.features(pictures.unsqueeze(1))  # [n, 512, 6 of time, 4 of frequency]
        # The published weights were learned with channels last: the flat order is time, frequency, channel.
        features: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return features


def _convolutions() -> Iterator[nn.Module]:
    before = 1
    for width in _WIDTHS:
        if width is None:
            yield nn.MaxPool2d(2)
        else:
            yield nn.Conv2d(before, width, 3, padding=1)
            yield nn.ReLU()
            before = width


class PrincipalComponents:
    """The published post-processing of VGGish: PCA with whitening, clipped to [-2, 2], and on request in 8 bit.

    Args:
        parameters: tensors ``pca_eigen_vectors`` ``[128, 128]`` and ``pca_means``, of 128 numbers.
        coded: whether the result is rounded to whole numbers from 0 to 255.
    """

    def __init__(self, parameters: Mapping[str, Tensor], coded: bool) -> None:
        self._vectors = parameters["pca_eigen_vectors"].float()
        self._means, self._coded = parameters["pca_means"].float().reshape(DIMENSION), coded

    def __call__(self, features: Tensor) -> Tensor:
        """Return the processed features ``[n, 128]``."""
        clipped = ((features - self._means) @ self._vectors.T).clamp(-_LIMIT, _LIMIT)
        return torch.round((clipped + _LIMIT) * (_LEVELS / (2 * _LIMIT))) if self._coded else clipped
