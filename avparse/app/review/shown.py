"""What the page is told of an item, of the progress and of the agreement, in JSON types."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avparse.app.review.log import Standing
from avparse.app.review.media import MediaFiles
from avparse.app.review.pace import decisions_a_minute
from avparse.app.review.source import ReviewSource, Row, shown_classes
from avparse.labels.reviewing.agreement import Agreement, kappa
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.noise_left import NoiseLeft


class Shown:
    """Items as the page shows them.

    Args:
        source: labels or timelines.
        media: files of the videos.
    """

    def __init__(self, source: ReviewSource, media: MediaFiles) -> None:
        self._source, self._media = source, media
        self._number = {video: number for number, video in enumerate(source.videos)}
        self._of_video: dict[str, list[Row]] = {}
        self._rows = {row.item.key: row for row in source.rows}
        for row in source.rows:
            self._of_video.setdefault(row.item.video, []).append(row)

    def item(self, item: ReviewItem) -> dict[str, Any]:
        """Return an item with all that the page draws and plays beside it."""
        video, row = self._source.videos[item.video], self._rows[item.key]
        has_file = self._media.path(item.video) is not None
        return {
            "key": item.key,
            "video": item.video,
            "class": item.class_name,
            "modality": item.modality,
            "onset": item.onset,
            "offset": item.offset,
            "probability": round(item.probability, 4),
            "against": [list(span) for span in item.against],
            "given": row.given,
            "kept": row.target >= 0.5,
            "reason": row.reason,
            "duration": video.duration,
            "segment_seconds": video.segment_seconds,
            "media": f"/media/{self._number[item.video]}" if has_file else None,
            "media_start": self._media.start(item.video) if has_file else 0.0,
            "lanes": self._lanes(item),
            "beside": [_span(r.item) for r in self._of_video[item.video] if r.item.key != item.key],
        }

    def _lanes(self, item: ReviewItem) -> list[dict[str, Any]]:
        """Return probabilities in hundredths by class and modality, the class that is asked about first."""
        names = shown_classes(self._of_video[item.video], item.class_name)
        lanes = self._source.lanes(item.video, names)
        return [
            {"class": name, **{m: None if x is None else _hundredths(x[:, n]) for m, x in lanes.items()}}
            for n, name in enumerate(names)
            if lanes
        ]


def progress(rows: Sequence[Row], standing: Standing, author: str) -> dict[str, Any]:
    """Return how far a review is, how fast a reviewer decides, and how far reviewers agree.

    Args:
        rows: all items of the review.
        standing: verdicts of the log that stand.
        author: name of the reviewer who asks.
    """
    verdicts = standing.verdicts
    own = [action.at for action in verdicts if action.author == author]
    return {
        "items": len(rows),
        "decided": sum(row.item.key in standing.settled for row in rows),
        "mine": len(own),
        "rate": decisions_a_minute(own),
        "reviewers": dict(Counter(action.author for action in verdicts).most_common()),
        "agreement": _agreement(standing),
    }


def noise(left: NoiseLeft) -> dict[str, dict[str, float]]:
    """Return the share of wrong labels among those that are kept, in percent, by modality and for both."""
    return {
        where: {"value": of.value, "low": of.low, "high": of.high}
        for where, of in left.kept.items()
        if _finite(of.value)
    }


def _agreement(standing: Standing) -> dict[str, Any]:
    found = kappa(standing.several())
    groups = [
        {"class": name, "modality": modality, **_numbers(one)} for (name, modality), one in found.by_group.items()
    ]
    return {**_numbers(found.total), "groups": groups}


def _numbers(one: Agreement) -> Mapping[str, float | int | None]:
    values = {"kappa": one.kappa, "observed": one.observed}
    return {**{name: value if _finite(value) else None for name, value in values.items()}, "pairs": one.pairs}


def _span(item: ReviewItem) -> dict[str, Any]:
    return {"class": item.class_name, "modality": item.modality, "onset": item.onset, "offset": item.offset}


def _hundredths(values: Any) -> list[int]:
    found: list[int] = np.round(100 * np.nan_to_num(values)).astype(int).tolist()
    return found


def _finite(value: float) -> bool:
    return math.isfinite(value)
