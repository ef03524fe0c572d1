"""What every denoiser is: it prepares the labels, before the parser of a run is trained."""

from __future__ import annotations

from typing import Literal, Protocol

from avparse.training.prepared import Prepared
from avparse.training.workspace import Workspace

Leaves = Literal["labels", "segments", "refiners"]
Truth = Literal["train", "val"] | None


class Denoiser(Protocol):
    """Made from its settings; all that is costly is left in the workspace's folder and taken up again from there."""

    @property
    def leaves(self) -> Leaves:
        """What :meth:`prepare` is for: a table of refined labels, labels of segments, or work on every batch."""

    @property
    def truth(self) -> Truth:
        """The split whose dense truth it reads; None where it reads none. A run without it is refused."""

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return refined labels of the training split, refiners for every batch, or both."""
