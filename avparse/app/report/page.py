"""The page of one video, or of a few with a selector: one HTML file that makes no network requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avparse.app.report.media import EMBED_LIMIT_BYTES, PAGE_LIMIT_FACTOR, data_uris, media_entry
from avparse.app.report.template import write_page
from avparse.app.report.video import ReportVideo, video_entry
from avparse.models.decoding import DecodingRule

_STYLES = ("base.css", "page.css", "tables.css")
# In this order: what is computed as a part is read, such as the list, stands after what it is made of.
_SCRIPTS = (
    *("text.js", "table.js", "shell.js", "decode.js", "compare.js", "video.js", "view.js", "paint.js", "axis.js"),
    *("lanes.js", "attention.js", "events.js", "player.js", "pointer.js", "main.js"),
)
_KEYS = (
    (("Space",), "play or pause"),
    (("←", "→"), "one segment back or on"),
    (("n", "p"), "next or previous event (or difference) of the list"),
    (("N", "P"), "next or previous video"),
    (("+", "-", "0"), "zoom in, zoom out, the whole video"),
    (("h", "s"), "show or hide what is heard, what is seen"),
    (("/",), "filter by class; Esc leaves the field"),
    (("m", "M"), "mute the class that is marked or has the focus; unmute all"),
    (("d",), "list differences or events, in a comparison"),
    (("l",), "copy a link to this moment"),
    (("t",), "theme: auto, light, dark"),
    (("↑", "↓", "Enter"), "in the list: move, go there"),
)


@dataclass(frozen=True)
class ScoreTable:
    """A table of metrics.

    Attributes:
        columns: names of the metrics.
        rows: rows of a label and one value per column; numbers are shown with one decimal, ``None`` as a dash.
        caption: description of the metrics and of the data that they were measured on.
    """

    columns: list[str]
    rows: list[tuple[str, list[float | str | None]]]
    caption: str

    def __post_init__(self) -> None:
        for label, values in self.rows:
            if len(values) != len(self.columns):
                raise ValueError(f"score table: row '{label}' has {len(values)} values for {len(self.columns)} columns")


def write_report(
    path: str | Path,
    videos: Sequence[ReportVideo],
    *,
    title: str,
    rule: DecodingRule | None,
    scores: ScoreTable | None = None,
    embed_limit_bytes: int = EMBED_LIMIT_BYTES,
) -> None:
    """Write the page of one or a few videos at ``path``, atomically.

    Args:
        path: path of the HTML file.
        videos: videos to show; several of them get a selector.
        title: heading of the page.
        rule: decoding rule of the timelines; the threshold slider decodes again by the same rule. None where it is not
            known: the events are then shown as they were stored.
        scores: table that is shown under the timelines.
        embed_limit_bytes: size above which a file is linked instead of embedded; files that would make the page larger
            than four times this are linked too.

    Raises:
        UserError: a video file is missing or unreadable, the rule is for another number of classes, or the page cannot
            be written.
    """
    if not videos:
        raise ValueError("a report shows at least one video")
    _write(Path(path), videos, rule, embed_limit_bytes, title=title, scores=scores, home="", digest="")


def write_listed_page(path: Path, video: ReportVideo, rule: DecodingRule | None, *, home: str, digest: str) -> None:
    """Write the page of a video that an index lists; its media file is linked, so that it does not lie there twice.

    Args:
        path: path of the HTML file.
        video: timeline, media and notes of the video.
        rule: decoding rule of the timeline, None if it is not known.
        home: link to the index, with the name of the video after ``#video=``.
        digest: hash of the file of the timeline, by which the page is known to show it; empty for none.

    Raises:
        UserError: the video file is missing, the rule is for another number of classes, or the page cannot be written.
    """
    _write(path, [video], rule, -1, title=video.timeline.video, scores=None, home=home, digest=digest)


def _write(
    path: Path, videos: Sequence[ReportVideo], rule: DecodingRule | None, embed_limit_bytes: int, **values: Any
) -> None:
    room = PAGE_LIMIT_FACTOR * embed_limit_bytes
    entries: list[dict[str, Any]] = []
    embedded: list[tuple[int, Path, float]] = []
    for number, video in enumerate(videos):
        media = media_entry(video.media, path.parent, min(embed_limit_bytes, room))
        if video.media is not None and media is not None and media["embedded"]:
            room -= media["bytes"]
            embedded.append((number, video.media, video.timeline.media_start))
        entries.append({**video_entry(video, rule), "media": media})
    write_page(
        path,
        "page.html",
        styles=_STYLES,
        scripts=_SCRIPTS,
        page={"videos": entries, "home": values["home"]},
        keys=_KEYS,
        attention=any(video.timeline.attention is not None for video in videos),
        compared=any(entry["other"] is not None for entry in entries),
        simulated=any(video.timeline.trained_on for video in videos),
        media=data_uris(embedded),
        **values,
    )
