"""Interface of denoisers, which prepare the labels before the parser of a run is trained."""

from __future__ import annotations

from typing import Literal, Protocol

from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace

Leaves = Literal["labels", "segments", "refiners"]
Truth = Literal["train", "val"] | None


class Denoiser(Protocol):
    """Prepares labels; it is made from its settings and stores costly results in the workspace for reuse."""

    @property
    def leaves(self) -> Leaves:
        """Kind of result of :meth:`prepare`: a table of refined labels, segment labels, or a refiner of every batch."""

    @property
    def truth(self) -> Truth:
        """Split whose dense truth the denoiser reads; None if it reads none. A run without that truth is refused."""

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return refined labels of the training split, refiners for every batch, or both."""
