"""Interface of denoisers, which prepare the labels before the parser of a run is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from avparse.data.batching import Indices
from avparse.labels.refiner import Refiner
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


@runtime_checkable
class LearnsFirst(Protocol):
    """A denoiser of refiners that trains parsers before it hands them over, and can also give them untrained."""

    def untrained_refiners(self, workspace: Workspace) -> Sequence[Refiner]:
        """Return the refiners as they are before anything is learned; a batch costs them what it costs later."""


def split_validation(workspace: Workspace, how: Literal["full", "half"]) -> tuple[Indices, Indices]:
    """Return the validation videos that reward and those that select; the same for ``full``.

    Halves are drawn by a fixed number, not by the run's seed, so that all methods are selected on the same videos.
    """
    val = workspace.val
    if how == "full":
        return val, val
    shuffled = np.random.default_rng(0).permutation(val)
    half = len(val) // 2
    return np.sort(shuffled[:half]), np.sort(shuffled[half:])
