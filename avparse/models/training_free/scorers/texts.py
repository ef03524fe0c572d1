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
    """Scaled products of a stream of embeddings with one text a class, and with texts of other things.

    Any class can be judged, because any can be put into words. Where unrelated material is given, its scores are
    taken away: each text has an offset of its own, with which no threshold fits all classes
    (``docs/results/without_training.md``).

    Attributes:
        modality: the modality of the stream.
        extractor: name of the extractor of the stream.
        stream: name of the stream of embeddings, of the length that the network compares.
        classes: the C wanted classes.
        texts: embeddings ``[C + R, D]`` of that length: of the classes, then of other things.
        scale: factor from a product to the logit that the network was trained with.
        title: the network in a few words.
        bias: number added to the scaled product, of networks that were trained with one.
        unrelated: mean embedding ``[D]`` of material in which nothing happens; None for a network whose logits are
            calibrated for each text.
    """

    modality: Literal["audio", "visual"]
    extractor: str
    stream: str
    classes: tuple[str, ...]
    texts: Tensor
    scale: float
    title: str
    bias: float = 0.0
    unrelated: Tensor | None = None

    @property
    def dimension(self) -> int:
        """Numbers an embedding."""
        return self.texts.shape[1]

    @property
    def judges(self) -> BoolArray:
        """True for every class, ``[C]``."""
        return np.ones(len(self.classes), dtype=bool)

    def logits(self, features: Tensor) -> Tensor:
        """Return the scaled products ``[T, C + R]`` of embeddings ``[T, D]`` and texts, and the bias."""
        above = features if self.unrelated is None else features - self.unrelated
        return self.scale * torch.matmul(above, self.texts.T) + self.bias
