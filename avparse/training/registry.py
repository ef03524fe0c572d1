"""Registry of denoisers by name, which :mod:`avparse.training.denoisers` fills.

A recipe names its denoiser, and a denoiser trains parsers by recipes. The dictionary is below both in the order of
imports, so that neither imports the other; names are looked up when a recipe is read.
"""

from __future__ import annotations

from typing import Any

DENOISERS: dict[str, Any] = {}
