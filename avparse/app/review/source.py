"""What is reviewed: items with what is suggested for them, and the videos that they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from avparse.data.made_up import MadeUp
from avparse.foundation.arrays import Float32Array
from avparse.labels.reviewing.item import ReviewItem

Kind = Literal["labels", "timelines"]
Lanes = dict[str, Float32Array | None]


@dataclass(frozen=True)
class Row:
    """One item with what a table of labels or a timeline says of it.

    Attributes:
        item: the label or event.
        given: whether the label was given; True for an event.
        target: label that training would read, in [0, 1]; 1 for an event.
        quality: confidence in the given label, in [0, 1]; the score of an event.
        reason: why the target differs from the given label; empty where it does not.
    """

    item: ReviewItem
    given: bool = True
    target: float = 1.0
    quality: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class ReviewedVideo:
    """One video of a review.

    Attributes:
        duration: duration in seconds.
        segment_seconds: length of a segment in seconds.
        state: digest of what is asked about the video; decisions hold as long as it stays the same.
        media_start: seconds that the file's own clock shows at second 0; None where only the file can tell.
        path: path of the file that was parsed, as the table of results names it; None where it is not known.
    """

    duration: float
    segment_seconds: float
    state: str
    media_start: float | None = None
    path: Path | None = None


class ReviewSource(Protocol):
    """Labels or timelines that can be reviewed."""

    @property
    def kind(self) -> Kind:
        """Whether these are labels of whole videos or events of timelines."""
        ...

    @property
    def where(self) -> str:
        """Path of the table or the timelines, for messages."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        ...

    @property
    def videos(self) -> Mapping[str, ReviewedVideo]:
        """What is reviewed, by id of the video."""
        ...

    @property
    def rows(self) -> Sequence[Row]:
        """All items."""
        ...

    @property
    def made_up(self) -> MadeUp:
        """Kind of data that a program made, "simulated" or "synthetic"; empty for real data."""
        ...

    @property
    def lane_note(self) -> str:
        """Why there are no probabilities; empty where there are."""
        ...

    def lanes(self, video: str, names: Sequence[str]) -> Lanes:
        """Return probabilities ``[T, len(names)]`` of some classes by modality, None where a modality is absent."""
        ...


def digest(*parts: object) -> str:
    """Return a short digest of what is asked about a video."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shown_classes(rows: Collection[Row], first: str, most: int = 6) -> list[str]:
    """Return the classes of a video's items that are drawn, the one that is asked about first."""
    names = dict.fromkeys([first, *(row.item.class_name for row in rows)])
    return list(names)[:most]
