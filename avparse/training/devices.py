"""Device and precision of a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch

from avparse.foundation.extras import only_version

# Fabric asks for the version of torchmetrics, and would load all of it for that: torchvision, transformers, SciPy.
with only_version("torchmetrics"):
    from lightning_fabric import Fabric

_log = logging.getLogger(__name__)

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
        fabric = Fabric(accelerator=self.device, devices=1, precision=_PRECISIONS[precision])
        if precision == "bfloat16" and fabric.device.type == "cpu" and not _computes_bfloat16():
            _tell_emulated()
        return fabric


def _computes_bfloat16() -> bool:
    """Return whether this processor multiplies matrices of bfloat16 (AVX-512 or newer)."""
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported


@cache
def _tell_emulated() -> None:
    _log.warning(
        "training.precision is bfloat16, which this processor only emulates, many times slower than float32 computes; "
        "add --set training.precision=float32"
    )


AUTO = Compute()
