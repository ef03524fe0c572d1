"""Timelines as plots of Matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avparse.data.notebook.lanes import COLOURS, WORDS
from avparse.data.notebook.shown import ShownTimeline, shown_classes
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.extras import library

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _TOP = 0.3, 1.0  # inches of a class, and of all else
_LANE = 0.38  # share of a class's row that a lane covers


def draw_lanes(timeline: ShownTimeline, axes: Axes | None = None) -> Axes:
    """Draw the lanes of a timeline; classes without events are left out.

    Args:
        timeline: timeline to draw.
        axes: axes to draw on, None for those of a new figure.

    Returns:
        The axes, whose figure may be changed and saved.

    Raises:
        UserError: Matplotlib is not installed.
    """
    library("matplotlib", "plot", "plots of timelines")
    names = shown_classes(timeline)
    drawn: Any = axes
    if drawn is None:
        from matplotlib import pyplot  # noqa: PLC0415 - an optional library

        _, drawn = pyplot.subplots(figsize=(9.0, _TOP + _ROW * max(1, len(names))), layout="constrained")
    for lane, modality in enumerate(MODALITIES):
        for row, name in enumerate(names):
            spans = [e for e in timeline.events if (e.class_name, e.modality) == (name, modality)]
            places = [(e.onset, e.offset - e.onset) for e in spans]
            drawn.broken_barh(
                places,
                (row - _LANE + lane * _LANE, _LANE),
                color=COLOURS[modality],
                alpha=[0.35 + 0.65 * min(1.0, max(0.0, e.score)) for e in spans] if spans else None,
            )
        drawn.bar(0, 0, color=COLOURS[modality], label=WORDS[modality])  # for the legend
    drawn.set_yticks(range(len(names)), names)
    drawn.set_title(timeline.video, loc="left", parse_math=False)
    for label in drawn.get_yticklabels():
        label.set_parse_math(False)  # a dollar in a name is a dollar
    drawn.set_xlim(0, timeline.duration or 1.0)
    drawn.set_ylim(max(1, len(names)) - 0.5, -0.5)
    drawn.set_xlabel("seconds")
    drawn.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False)
    result: Axes = drawn
    return result
