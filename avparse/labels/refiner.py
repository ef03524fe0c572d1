"""What every refiner is: it turns the targets of a batch into better ones, during training."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor, nn

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Step
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput

Reads = Literal["nothing", "training", "unimodal"]


class Refiner(Protocol):
    """Refines the targets of every batch. Refiners chain: each receives what the one before it returned."""

    @property
    def reads(self) -> Reads:
        """Which pass of the parser is shown to :meth:`refine`.

        ``training``: the very output that the loss will read; ``unimodal``: an extra pass, in training mode and without
        gradient, in which neither modality sees the other; ``nothing``: none, the output is None.
        """

    def attach(self, parser: nn.Module, table: FeatureTable) -> None:
        """Meet the parser that is trained and the data, once, before the first batch."""

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return new targets; those given stay as they are."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return what later batches depend on, by name; empty for a refiner without memory."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a :meth:`state_dict`."""
