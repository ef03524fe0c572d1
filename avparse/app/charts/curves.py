"""Learning curves of runs: validation metrics and losses over epochs, rewards and label noise over episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avparse.app.charts.style import COLOURS, Figure, about_data, chart_style, save
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import LEVELS, TRACKS
from avparse.foundation.arrays import Float64Array, IntArray
from avparse.foundation.errors import UserError, nearest
from avparse.training.logs import LOG, read_log
from avparse.training.run import Run

_SHEETS = {"epoch": Path(LOG), "episode": Path("denoised", "episodes.jsonl")}
_STYLES = ("-", "--", ":", "-.")  # the next one is used when all colours are taken
# Name of a metric -> its title and its unit. Metrics that are not listed are shown by their name.
_WORDS = {
    "loss": ("training loss", "nats"),
    "rate": ("learning rate", "step size"),
    "seconds": ("time of an epoch", "s"),
    "videos_per_second": ("speed", "videos/s"),
    **{
        f"val/{level}_{kind.lower()}": (f"validation, {level} {kind.replace('_', '-')}", "F (%)")
        for level in LEVELS
        for kind in (*TRACKS, "Type", "Event")
    },
    **{
        f"{name}_{modality}": (f"{words}, {modality}", unit)
        for modality in MODALITIES
        for name, words, unit in (
            ("reward", "reward", "reward"),
            ("terminal", "terminal reward", "reward"),
            ("inter", "soft inter-reward", "reward"),
            ("advantage", "advantage", "reward"),
            ("gap", "difference of the rewards of a pair", "reward"),
            ("noise", "wrong labels among those kept", "share"),
            ("right", "right labels that are kept", "share"),
            ("violations", "videos that would lose all labels", "share"),
        )
    },
}


@dataclass(frozen=True)
class History:
    """Metrics of one run by name, each with its epochs or episodes (from 1) and values."""

    metrics: dict[str, tuple[list[int], list[float]]]


@dataclass
class Group:
    """Runs of one recipe on the same data, which differ only in their seed."""

    label: str
    histories: list[History] = field(default_factory=list)

    def spread(self, name: str) -> tuple[IntArray, Float64Array, Float64Array]:
        """Return steps, mean, and sample standard deviation of a metric; NaN where only one run has the step."""
        found = [h.metrics[name] for h in self.histories if name in h.metrics]
        steps = np.unique([step for steps, _ in found for step in steps])
        values = np.full((len(found), len(steps)), np.nan)
        for row, (at, metrics) in zip(values, found, strict=True):
            row[np.searchsorted(steps, at)] = metrics
        count = np.isfinite(values).sum(axis=0)
        mean: Float64Array = np.nansum(values, axis=0) / count
        squares = np.nansum((values - mean) ** 2, axis=0)
        deviation = np.sqrt(np.divide(squares, count - 1, out=np.full(len(steps), np.nan), where=count > 1))
        return steps, mean, deviation


def plot(paths: Sequence[Path], out: Path, metrics: Sequence[str] = ()) -> list[Path]:
    """Draw the curves of runs and write ``epochs`` and ``episodes`` under ``out``, each as PNG and SVG.

    Args:
        paths: run folders; runs of one recipe and data are drawn as their mean, with a band of one standard deviation.
        out: folder of the files, created if it does not exist.
        metrics: names of the metrics to draw, as in ``metrics.jsonl`` and ``episodes.jsonl``; all if empty.

    Returns:
        The paths of the files.

    Raises:
        UserError: a path is not a run, a log is damaged, there is no curve yet, or a metric is unknown.
    """
    runs = [Run.open(path) for path in dict.fromkeys(paths)]
    sheets = {axis: _groups(runs, axis) for axis in _SHEETS}
    names = {
        axis: list(dict.fromkeys(name for g in groups for h in g.histories for name in h.metrics))
        for axis, groups in sheets.items()
    }
    known = {name for found in names.values() for name in found}
    if not known:
        raise UserError(f"{paths[0]}: no curves yet (no line in {_SHEETS['epoch']}); let a first epoch end")
    for name in metrics:
        if name not in known:
            raise UserError(f"--metrics: no metric '{name}' in these runs{nearest(name, known)}")
    chosen = {axis: [name for name in found if not metrics or name in metrics] for axis, found in names.items()}
    return [
        path
        for axis, groups in sheets.items()
        if chosen[axis]
        for path in save(draw(groups, chosen[axis], axis, _about(runs)), out / f"{axis}s")
    ]


def draw(groups: Sequence[Group], names: Sequence[str], axis: str, title: str) -> Figure:
    """Return a chart with one panel per metric and one line per group.

    Args:
        groups: groups of runs to compare.
        names: names of the metrics to draw.
        axis: kind of the steps: ``epoch`` or ``episode``.
        title: title of the chart.
    """
    columns = min(4, math.ceil(math.sqrt(len(names))))
    rows = math.ceil(len(names) / columns)
    with chart_style():
        sheet = Figure(figsize=(4.4 * columns, 3.1 * rows + 0.9), layout="constrained")
        panels = sheet.subplots(rows, columns, squeeze=False).flat
        lines: dict[str, Any] = {}
        for name, panel in zip(names, panels, strict=False):
            for number, group in enumerate(groups):
                if not any(name in h.metrics for h in group.histories):
                    continue
                colour = COLOURS[number % len(COLOURS)]
                style = _STYLES[number // len(COLOURS) % len(_STYLES)]
                steps, mean, deviation = group.spread(name)
                marker = "o" if len(steps) == 1 else None
                (line,) = panel.plot(steps, mean, style, color=colour, marker=marker, linewidth=1.6)
                lines.setdefault(group.label, line)
                if np.isfinite(deviation).any():
                    panel.fill_between(steps, mean - deviation, mean + deviation, color=colour, alpha=0.22, linewidth=0)
            panel.set_xlabel(axis)
            words, unit = _WORDS.get(name) or _spelled(name)
            panel.set_title(words, loc="left", fontsize="medium")
            panel.set_ylabel(unit)
            panel.xaxis.get_major_locator().set_params(integer=True)
        for panel in panels:  # those left over
            panel.remove()
        sheet.suptitle(title)
        sheet.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=min(3, len(lines)))
    return sheet


def _groups(runs: Sequence[Run], axis: str) -> list[Group]:
    """Return the runs that have curves over ``axis``, grouped by recipe and data."""
    groups: dict[str, Group] = {}
    for run in runs:
        history = _read(run.path / _SHEETS[axis], axis)
        if not history.metrics:
            continue
        key = run.recipe.as_yaml() + run.info.fingerprint
        if key not in groups:
            taken = any(g.label == run.recipe.title for g in groups.values())
            groups[key] = Group(f"{run.recipe.title} ({run.path.name})" if taken else run.recipe.title)
        groups[key].histories.append(history)
    for group in groups.values():
        if len(group.histories) > 1:
            group.label += f", {len(group.histories)} runs, mean ± deviation"
    return list(groups.values())


def _read(path: Path, axis: str) -> History:
    """Read the numbers of a log; a partial line at its end, of a run that was killed, is left out."""
    metrics: dict[str, tuple[list[int], list[float]]] = {}
    for number, values in enumerate(read_log(path), 1):
        try:
            step = int(values.pop(axis)) + 1
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: line {number} is damaged; remove it") from None
        for name, value in values.items():
            if isinstance(value, int | float) and math.isfinite(value):
                steps, series = metrics.setdefault(name, ([], []))
                steps.append(step)
                series.append(float(value))
    return History(metrics)


def _about(runs: Sequence[Run]) -> str:
    return about_data("Learning curves", (run.info.description for run in runs))


def _spelled(name: str) -> tuple[str, str]:
    """Return title and unit of a metric that is not listed; the terms of a loss have its unit."""
    return name.replace("/", ", ").replace("_", " "), "nats" if name.startswith("loss/") else "value"
