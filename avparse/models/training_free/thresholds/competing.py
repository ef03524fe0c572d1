"""Background as competing classes: a class is present where it fits best of all."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Competing:
    """Compares each class with the other thing that fits the segment best; classes do not compete with each other.

    Attributes:
        margin: lead in logits over the best other thing from which on a class counts as present.
    """

    margin: float = 0.0

    def __call__(self, logits: Tensor, classes: int) -> Tensor:
        """Return the probabilities ``[T, C]`` of each class against the best of the other things.

        Raises:
            ValueError: the scorer was asked about nothing but the classes.
        """
        if logits.shape[1] == classes:
            raise ValueError("no other things compete with the classes; use another threshold for this scorer")
        best = logits[:, classes:].amax(dim=1, keepdim=True)
        return (logits[:, :classes] - best - self.margin).sigmoid()
