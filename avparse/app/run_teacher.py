"""Running of teachers: their embeddings of every segment of a store are stored next to it, for pseudo labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avparse.data.store import FeatureStore
from avparse.data.teachers import TEACHERS
from avparse.foundation.settings import PartConfig, build, lookup
from avparse.media.pipeline import Failed
from avparse.training.recipe import apply_change


def run_teacher(
    store: FeatureStore, teacher: str, changes: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> tuple[list[Path], list[Failed]]:
    """Run a teacher on a store and write its scores next to the store.

    Args:
        store: feature store whose segments are embedded.
        teacher: name of the teacher in :data:`avparse.data.teachers.TEACHERS`.
        changes: settings of the teacher, each ``key=value``.
        settings: further settings of the teacher by name.

    Returns:
        The files, one per modality, and the videos that the teacher could not process, which are not in the files.

    Raises:
        UserError: the teacher or a setting is unknown, or the teacher cannot process these data.
    """
    values: dict[str, Any] = {"name": teacher, **(settings or {})}
    for change in changes:
        apply_change(values, change)
    config: type[PartConfig] = lookup(TEACHERS, teacher, "teacher").Config  # type: ignore[attr-defined]
    asked = build(TEACHERS, config.read(values, f"teacher '{teacher}'"))
    files: list[Path] = []
    failures: list[Failed] = []
    for found in asked(store):
        if isinstance(found, Failed):
            failures.append(found)
        else:
            files.append(found.save(store))
    return files, failures
