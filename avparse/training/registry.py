"""The denoisers by name; :mod:`avparse.training.denoisers` fills the dictionary.

A recipe names its denoiser, and a denoiser trains parsers by recipes. The dictionary stands below both, so that
neither imports the other; its names are looked up when a recipe is read.
"""

from __future__ import annotations

from typing import Any

DENOISERS: dict[str, Any] = {}
