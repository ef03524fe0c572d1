"""What every denoiser is: it prepares the labels, before the parser of a run is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from avparse.training.workshop import Prepared, Workshop


class Denoiser(Protocol):
    """Made from its settings; all that is costly is left in the workshop's folder and taken up again from there."""

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return refined labels of the training split, refiners for every batch, or both."""
