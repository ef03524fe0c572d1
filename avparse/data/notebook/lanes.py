"""The picture of a timeline in a notebook: for each class a lane of what is heard and one of what is seen.

Static HTML with its style in the elements: it needs neither scripts nor network, and its colours suit light and dark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby

from avparse.data.made_up import warning
from avparse.data.notebook.shown import ShownEvent, ShownTimeline, shown_classes
from avparse.data.vocabulary import MODALITIES

COLOURS = {"audio": "#2f80d0", "visual": "#d9822b"}  # told apart with any colour vision, on white and on black
WORDS = {"audio": "heard", "visual": "seen"}
_BARS, _MOST_A_LANE, _FEWEST_A_LANE = 6000, 400, 100  # in all, and limits of a lane: a page stays below a megabyte
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400)
_TICKS = 6
_NAMES = "flex:0 0 11em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;padding-right:.6em;text-align:right"
_LANE = "position:relative;height:7px;margin:1px 0;background:rgba(128,128,128,.16)"


def lanes_html(timeline: ShownTimeline) -> str:
    """Return the picture of a timeline; classes without events are named below it."""
    names = shown_classes(timeline)
    end = max([timeline.duration, *(e.offset for e in timeline.events)]) or 1.0
    bins = max(_FEWEST_A_LANE, min(_MOST_A_LANE, _BARS // max(1, len(names) * len(MODALITIES))))
    rows = [_row(name, [e for e in timeline.events if e.class_name == name], end, bins) for name in names]
    silent = [name for name in timeline.classes if name not in names]
    told = [f"no events of {', '.join(silent)}"] if silent else []
    told += [f"warning: {found}" for found in timeline.warnings]
    told += [text for text in [warning(timeline.trained_on)] if text]
    notes = "".join(f'<div style="opacity:.75">{_text(note)}</div>' for note in told)
    count = len(timeline.events)
    title = f"<b>{_text(timeline.video)}</b> {_clock(timeline.duration)}, {count} event{'' if count == 1 else 's'}"
    body = "".join(rows) + (_axis(end) if rows else "")
    return f'<div style="max-width:60em;line-height:1.35">{title} {_legend()}{body}{notes}</div>'


def _row(name: str, events: Sequence[ShownEvent], end: float, bins: int) -> str:
    lanes = "".join(
        f'<div style="{_LANE}">{_bars([e for e in events if e.modality == modality], end, bins)}</div>'
        for modality in MODALITIES
    )
    label = f'<div style="{_NAMES}" title="{_text(name)}"><bdi>{_text(name)}</bdi></div>'
    return f'<div style="display:flex;align-items:center;margin:2px 0">{label}<div style="flex:1">{lanes}</div></div>'


def _bars(events: Sequence[ShownEvent], end: float, bins: int) -> str:
    """Return the bars of a lane; events that begin in one of the ``bins`` of a lane are one bar."""
    parts = []
    for _, group in groupby(sorted(events, key=lambda e: e.onset), key=lambda e: int(bins * e.onset / end)):
        same = list(group)
        onset, offset = same[0].onset, max(e.offset for e in same)
        score = max(e.score for e in same)
        shown = f"{score:.2f}" if len(same) == 1 else f"{len(same)} events, at most {score:.2f}"
        told = f"{WORDS[same[0].modality]} {onset:.3f}\N{EN DASH}{offset:.3f} s, {shown}"
        place = f"left:{100 * onset / end:.3f}%;width:{100 * (offset - onset) / end:.3f}%"
        colour = f"background:{COLOURS[same[0].modality]};opacity:{0.35 + 0.65 * min(1.0, max(0.0, score)):.2f}"
        parts.append(f'<i title="{told}" style="position:absolute;{place};min-width:2px;height:100%;{colour}"></i>')
    return "".join(parts)


def _axis(end: float) -> str:
    step = next((step for step in _STEPS_S if end / step <= _TICKS), _STEPS_S[-1])
    ticks = "".join(
        f'<span style="position:absolute;left:{100 * number * step / end:.2f}%">{_clock(number * step)}</span>'
        for number in range(min(2 * _TICKS, int(end / step) + 1))
        if number * step < 0.97 * end
    )
    scale = f'<div style="flex:1;position:relative;height:1.4em;font-size:.8em;opacity:.75">{ticks}</div>'
    return f'<div style="display:flex"><div style="{_NAMES}"></div>{scale}</div>'


def _legend() -> str:
    spots = (
        f'<span style="white-space:nowrap;margin-left:.8em"><i style="display:inline-block;width:.8em;height:.8em;'
        f'background:{COLOURS[modality]}"></i> {WORDS[modality]}</span>'
        for modality in MODALITIES
    )
    return "".join(spots)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 3), 60)
    if minutes < 1:
        return f"{rest:g} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{int(rest):02d}" if hours else f"{minutes}:{int(rest):02d}"


def _text(text: str) -> str:
    return html.escape(text, quote=True)
