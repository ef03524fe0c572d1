"""A scorer that compares the embeddings of segments with those of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avparse.foundation.arrays import BoolArray


@dataclass(frozen=True, eq=False)
class TextScorer:
    """Scaled cosines of a stream of embeddings with one text a class, and with texts of other things.

    Any class can be judged, because any can be put into words.

    Attributes:
        modality: the modality of the stream.
        extractor: name of the extractor of the stream.
        stream: name of the stream of embeddings of length one.
        classes: the C wanted classes.
        texts: embeddings ``[C + R, D]`` of length one: of the classes, then of other things.
        scale: factor from a cosine to the logit that the network was trained with.
        title: the network in a few words.
    """

    modality: Literal["audio", "visual"]
    extractor: str
    stream: str
    classes: tuple[str, ...]
    texts: Tensor
    scale: float
    title: str

    @property
    def dimension(self) -> int:
        """Numbers an embedding."""
        return self.texts.shape[1]

    @property
    def judges(self) -> BoolArray:
        """True for every class, ``[C]``."""
        return np.ones(len(self.classes), dtype=bool)

    def logits(self, features: Tensor) -> Tensor:
        """Return the scaled cosines ``[T, C + R]`` of embeddings ``[T, D]``."""
        return self.scale * torch.matmul(features, self.texts.T)
