"""Copies of a run that another test made."""

from __future__ import annotations

import shutil
from pathlib import Path

from avparse.foundation.files import write_json
from avparse.foundation.reading import read_json


def copied_run(run: Path, target: Path, description: str) -> Path:
    """Copy a run, as if its data had another description."""
    shutil.copytree(run, target)
    write_json(target / "run.json", {**read_json(target / "run.json"), "description": description})
    return target
