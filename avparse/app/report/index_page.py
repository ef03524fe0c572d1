"""The index of the report: one row a video, with a link to its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from avparse.app.report.other import Differences
from avparse.app.report.template import write_page
from avparse.data.vocabulary import MODALITIES

_STYLES = ("base.css", "index.css")
_SCRIPTS = ("text.js", "table.js", "shell.js", "index.js")
_KEYS = (
    (("/",), "search by name; Esc leaves the field"),
    (("↑", "↓", "Home", "End"), "move along the list"),
    (("Enter",), "open the page of the video"),
    (("n", "p"), "next or previous video, from anywhere on the page"),
    (("c",), "choose a class"),
    (("w",), "only videos with warnings, or all"),
    (("l",), "copy a link to the marked video"),
    (("t",), "theme: auto, light, dark"),
)


@dataclass(frozen=True)
class IndexRow:
    """One video of the index.

    Attributes:
        video: title of the video.
        page: path of its page, relative to the index.
        duration: duration in seconds; None if it is not known.
        counts: number of events by class and modality.
        warnings: messages about parts of the file that cannot be trusted; empty for none.
        differences: differences of its events from those compared with; None without a comparison.
    """

    video: str
    page: str
    duration: float | None = None
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    warnings: str = ""
    differences: Differences | None = None


def write_index(
    path: Path,
    rows: Iterable[IndexRow],
    *,
    title: str,
    classes: Sequence[str],
    label: str = "",
    simulated: bool = False,
) -> None:
    """Write the index at ``path``, atomically.

    Args:
        path: path of the HTML file.
        rows: videos in their order.
        title: heading of the page.
        classes: class names in the order of the pages, which colours follow; further ones that occur come after them.
        label: name of what the events are compared with; empty without a comparison.
        simulated: whether any video was parsed by a parser that was trained on data made by a program.

    Raises:
        UserError: the page cannot be written.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    videos = [_entry(row, numbers) for row in rows]
    write_page(
        path,
        "index.html",
        styles=_STYLES,
        scripts=_SCRIPTS,
        title=title,
        page={"classes": list(numbers), "videos": videos, "label": label},
        keys=_KEYS,
        simulated=simulated,
        count=len(videos),
        label=label,
    )


def _entry(row: IndexRow, numbers: dict[str, int]) -> dict[str, Any]:
    """Return a row as JSON types, with short keys, for there may be tens of thousands."""
    sides = {
        m[0]: [
            (numbers.setdefault(name, len(numbers)), n) for (name, modality), n in row.counts.items() if modality == m
        ]
        for m in MODALITIES
    }
    found = row.differences
    compared = {} if found is None else {"agreement": found.agreement, "differ": found.only_here + found.only_there}
    return {
        "name": row.video,
        "page": quote(row.page),
        "seconds": row.duration,
        **sides,
        **({"warnings": row.warnings} if row.warnings else {}),
        **compared,
    }
