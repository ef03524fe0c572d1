"""Chart of precision, recall and F of each class, with one panel per modality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avparse.app.charts.style import COLOURS, Figure, about_data, chart_style, save
from avparse.app.pseudo_labels import LabelQuality
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import LEVELS
from avparse.evaluation.per_class import ClassScores

_LEVEL = LEVELS.index("segment")
_BAND = 0.8  # share of a class's row that its bars cover
_POINTS: dict[str, dict[str, Any]] = {
    "precision": {"marker": "o", "markersize": 7, "markerfacecolor": "white"},  # visible around an equal recall
    "recall": {"marker": "D", "markersize": 3.5, "markerfacecolor": "0.15"},
}


def plot_label_quality(quality: LabelQuality, file: Path) -> list[Path]:
    """Draw the quality of pseudo labels into ``file``.png and ``file``.svg and return these paths.

    An ending ``.png`` or ``.svg`` of ``file`` is dropped.

    Raises:
        UserError: the files cannot be written.
    """
    stem = file.with_suffix("") if file.suffix in (".png", ".svg") else file
    title = about_data(f"Segments of {quality.videos}", [quality.data.manifest.description])
    return save(draw({name: stage.classes for name, stage in quality.stages.items()}, title), stem)


def draw(stages: Mapping[str, ClassScores], title: str) -> Figure:
    """Return a chart of segment-level scores in percent: F is a bar, precision and recall are points.

    Classes are sorted by F of the first stage, the best on top, with the number of their true segments; classes without
    any come last and are marked. An undefined value (precision where nothing is labelled) is not drawn.

    Args:
        stages: scores of the same classes on the same videos, by name; they are drawn side by side.
        title: title of the chart.
    """
    classes = next(iter(stages.values())).classes
    with chart_style():
        sheet = Figure(figsize=(12.5, 1.9 + len(classes) * (0.14 + 0.15 * len(stages))), layout="constrained")
        for track, (modality, panel) in enumerate(zip(MODALITIES, sheet.subplots(1, len(MODALITIES)), strict=True)):
            shown = _fill(panel, stages, track)
            panel.set_title(f"{modality} (in brackets: true segments)", loc="left", fontsize="medium")
        sheet.suptitle(title)
        sheet.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=min(5, len(shown)))
    return sheet


def _fill(panel: Any, stages: Mapping[str, ClassScores], track: int) -> dict[str, Any]:
    """Draw one modality; return the items of the legend by their names."""
    first = next(iter(stages.values()))
    true = (first.right + first.missed)[_LEVEL, track]
    order = np.lexsort((-np.nan_to_num(first.f[_LEVEL, track]), true == 0))
    rows = np.arange(len(order))
    thickness = _BAND / len(stages)
    bars, points = {}, {}
    for row in rows[1::2]:
        panel.axhspan(row - 0.5, row + 0.5, color="0.96", linewidth=0, zorder=0)
    for number, (stage, scores) in enumerate(stages.items()):
        at = rows + (number + 0.5) * thickness - _BAND / 2
        colour = COLOURS[number % len(COLOURS)]
        f = 100 * scores.f[_LEVEL, track, order]
        bars[stage] = panel.barh(at, f, 0.9 * thickness, color=colour, alpha=0.55, label=stage, zorder=2)
        ends = {name: 100 * getattr(scores, name)[_LEVEL, track, order] for name in _POINTS}
        panel.hlines(at, *ends.values(), color="0.15", linewidth=0.8, zorder=3)
        for name, values in ends.items():
            style = {"color": "0.15", "linestyle": "none", "zorder": 4, **_POINTS[name]}
            (points[name],) = panel.plot(values, at, label=f"{stage}, {name}", clip_on=False, **style)
    for row in rows[true[order] == 0]:
        panel.text(3, row, "no truth", color="0.4", style="italic", fontsize="small", va="center")
    panel.set_yticks(rows, [f"{first.classes[c]} ({true[c]})" for c in order])
    panel.tick_params(axis="y", length=0, pad=8)
    panel.grid(axis="y", visible=False)
    panel.set_axisbelow(True)
    panel.set_xlim(0, 100)
    panel.set_ylim(len(rows) - 0.5, -0.5)  # the first on top
    panel.set_xlabel("bar: F, points: precision and recall (%)")
    return bars | points
