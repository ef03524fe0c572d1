"""The interface that every loss has, and the settings that all losses share."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.foundation.settings import PartConfig
from avparse.labels.targets import Targets
from avparse.models.output import ParserOutput


class LossConfig(PartConfig):
    """Settings that every loss has.

    Attributes:
        weight: factor of the loss in the sum of all losses.
        after: number of epochs before the loss joins the sum.
    """

    weight: float = Field(1.0, ge=0)
    after: int = Field(0, ge=0)


class Loss(Protocol):
    """A term of the objective, made from its settings and logged under ``label``."""

    label: str

    @property
    def config(self) -> LossConfig:
        """Settings that the loss was made from."""

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss of a batch, unweighted."""
