"""Interface of refiners, which improve the targets of every batch during training."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor, nn

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Step
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput

Reads = Literal["nothing", "training", "unimodal"]


class Refiner(Protocol):
    """Refines the targets of every batch. Refiners are applied in turn: each receives the targets of the one before."""

    @property
    def reads(self) -> Reads:
        """Pass of the parser whose output :meth:`refine` receives.

        ``training``: the output that the loss will read; ``unimodal``: an extra pass, in training mode and without
        gradient, without attention between the modalities; ``nothing``: no pass, the output is None.
        """

    def attach(self, parser: nn.Module, table: FeatureTable) -> None:
        """Receive the trained parser and the data, once, before the first batch."""

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return new targets; the given targets are not changed."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state that later batches depend on, by name; empty for a refiner without state."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
