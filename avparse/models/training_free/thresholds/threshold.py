"""Thresholds without labels: what makes probabilities of a scorer's logits where no truth is at hand."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class LabelFreeThreshold(Protocol):
    """Turns the logits of one video into probabilities that are to be cut at one half; one file for each rule."""

    def __call__(self, logits: Tensor, classes: int) -> Tensor:
        """Return the probabilities ``[T, C]`` of the classes.

        Args:
            logits: logits ``[T, C + R]`` of the segments that have the modality, without NaN: the classes, and other
                things that the scorer was asked about.
            classes: number of classes ``C``, the first columns.
        """
        ...
