"""Where steps are computed, and how precisely."""

from __future__ import annotations

from typing import Any, Literal

from lightning_fabric import Fabric

Precision = Literal["float32", "bfloat16"]
_PRECISIONS: dict[Precision, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def fabric(accelerator: str, precision: Precision = "float32") -> Fabric:
    """Return what runs steps on one device, ``cpu``, ``cuda``, ``mps`` or ``auto``."""
    return Fabric(accelerator=accelerator, devices=1, precision=_PRECISIONS[precision])
