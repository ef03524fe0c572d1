"""Asking teachers: their view of every segment of a store, cached beside it, from which recipes make pseudo labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from avparse.data.scores import TeacherScores
from avparse.data.store import FeatureStore
from avparse.data.teachers.clap import ClapTeacher
from avparse.data.teachers.clip import ClipTeacher
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.foundation.settings import PartConfig, build, lookup
from avparse.media.pipeline import Failed
from avparse.training.recipe import apply_change

Teacher = Callable[[FeatureStore], Iterable[TeacherScores | Failed]]
TEACHERS: dict[str, Callable[[Any], Teacher]] = {
    "clip": ClipTeacher,
    "clap": ClapTeacher,
    "simulated": SimulatedTeacher,
}


def run_teacher(
    store: FeatureStore, teacher: str, changes: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> tuple[list[Path], list[Failed]]:
    """Ask a teacher about a store and cache what it says.

    Args:
        store: the data.
        teacher: a name in :data:`TEACHERS`.
        changes: settings of the teacher, each ``key=value``.
        settings: more of them, by name.

    Returns:
        The files, one a modality, and the videos that the teacher could not judge, which are not in them.

    Raises:
        UserError: an unknown teacher or setting, or the teacher cannot judge these data.
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
