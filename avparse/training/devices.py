"""Device and precision of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lightning_fabric import Fabric

Precision = Literal["float32", "bfloat16"]
_PRECISIONS: dict[Precision, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Compute:
    """Device of a run; results do not depend on it, except for rounding.

    Attributes:
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest one that the machine has.
        resident: whether all features are held on the device, as in :class:`avparse.data.batching.FeatureTable`.
    """

    device: str = "auto"
    resident: bool | None = None

    def fabric(self, precision: Precision = "float32") -> Fabric:
        """Return the Fabric that runs training steps on the device."""
        return Fabric(accelerator=self.device, devices=1, precision=_PRECISIONS[precision])


AUTO = Compute()
