"""A scorer of a user's own classes that was taught by some examples of each."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from avparse.data.examples import ExampleHead
from avparse.foundation.arrays import BoolArray


class ExampleScorer:
    """Logits by the heads of :mod:`avparse.data.examples.head`; zero is their threshold.

    Args:
        head: fitted heads of one modality.
        classes: classes of the examples, in order.
        extractor: key in ``EXTRACTORS`` of what makes the stream.
    """

    def __init__(self, head: ExampleHead, classes: tuple[str, ...], extractor: str) -> None:
        self.modality: Literal["audio", "visual"] = "audio" if head.modality == "audio" else "visual"
        self.extractor, self.stream, self.classes = extractor, head.stream, classes
        self.dimension = len(head.weights)
        self.judges: BoolArray = head.judges
        self.title = f"examples, on features of '{extractor}'"
        self._weights, self._bias = torch.from_numpy(head.weights), torch.from_numpy(head.bias)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits ``[T, C]`` of segments ``[T, D]``; NaN in the columns of classes without a head."""
        return features @ self._weights + self._bias
