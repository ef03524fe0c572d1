"""What every refiner is: it turns the targets of a batch into better ones, during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from avparse.data.features import Batch
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput

Reads = Literal["nothing", "alone", "cross"]


@dataclass(frozen=True)
class Step:
    """Where a run stands: ``step`` of ``steps`` in ``epoch``, both from 0."""

    epoch: int
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """Epochs done, with the fraction of the current one."""
        return self.epoch + self.step / self.steps


class Refiner(Protocol):
    """Refines the targets of every batch. Refiners chain: each receives what the one before it returned."""

    @property
    def reads(self) -> Reads:
        """Which extra pass of the parser, in training mode and without gradient, is shown to :meth:`refine`.

        ``alone``: neither modality sees the other; ``cross``: as in training; ``nothing``: no pass, output None.
        """

    def refine(self, targets: Targets, output: ParserOutput | None, batch: Batch, step: Step) -> Targets:
        """Return new targets; those given stay as they are."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return what later batches depend on, by name; empty for a refiner without memory."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a :meth:`state_dict`."""
