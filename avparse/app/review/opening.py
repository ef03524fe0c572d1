"""A review is begun or taken up again: what is reviewed, its database and the files of its videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avparse.app.review.database import ENDING, Database
from avparse.app.review.label_source import LabelSource
from avparse.app.review.media import MediaFiles
from avparse.app.review.reviewed import enrol
from avparse.app.review.session import Review
from avparse.app.review.source import ReviewSource
from avparse.app.review.timeline_source import TimelineSource
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError


@dataclass(frozen=True)
class Given:
    """What the command was given.

    Attributes:
        paths: path of a feature store, or paths of timelines and of folders of them.
        labels: path of the table of labels of a store; None for timelines.
        run: run whose parser tells which seconds argue against a label; None where there is none.
        media: folders of the files of the videos.
        database: path of the review's file; None for one beside the labels or among the timelines.
    """

    paths: Sequence[Path]
    labels: Path | None = None
    run: Path | None = None
    media: Sequence[Path] = ()
    database: Path | None = None


@dataclass(frozen=True)
class Opened:
    """A review that can be served.

    Attributes:
        review: review that a server may offer.
        database: open database of the review, to be closed at the end.
        warning: sentence on data that a program made; empty for real data.
        media_note: why there are no videos, or how many are missing; empty where all are there.
    """

    review: Review
    database: Database
    warning: str
    media_note: str


def open_review(given: Given, overlap: float = 0.0) -> Opened:
    """Open a review, and make its database where there is none yet.

    Args:
        given: paths of what is reviewed, and of the files of its videos.
        overlap: share of the items that two reviewers get.

    Raises:
        UserError: the paths are neither a store with a table of labels nor timelines, the labels were made for other
            data, or the database cannot be used for them.
    """
    store, source = _source(given)
    own = [path for path in given.paths if store is None and path.is_dir()]
    media = MediaFiles([*given.media, *own], source.videos)
    path = given.database or _beside(given)
    database = Database.open(path, create=True)
    try:
        enrol(database, source, "" if store is None else str(store.path.resolve()))
        review = Review(database, source, media, overlap)
    except BaseException:
        database.close()
        raise
    kind = source.made_up
    warning = f"These are {kind} data: what is decided says nothing about real recordings." if kind else ""
    return Opened(review, database, warning, _media_note(media, source))


def _source(given: Given) -> tuple[FeatureStore | None, ReviewSource]:
    first = given.paths[0]
    if not (first / "manifest.json").is_file():
        if given.labels is not None or given.run is not None:
            FeatureStore.open(first)  # says what is wrong
        return None, TimelineSource(given.paths)
    if len(given.paths) > 1:
        raise UserError(f"{given.paths[1]}: one feature store at a time; give it its own review")
    if given.labels is None:
        raise UserError(f"{first}: give its labels, too (--labels TABLE), made with: avparse denoise {first} -o TABLE")
    store = FeatureStore.open(first)
    return store, LabelSource(store, given.labels, given.run)


def _beside(given: Given) -> Path:
    """Return the path of the database that belongs to what was given."""
    if given.labels is not None:
        return given.labels.with_name(given.labels.stem + ENDING)
    first = given.paths[0]
    return (first if first.is_dir() else first.parent) / f"events{ENDING}"


def _media_note(media: MediaFiles, source: ReviewSource) -> str:
    lacking = [video for video in source.videos if video not in media]
    if not lacking:
        return ""
    if not len(media):
        parsed = next((about.path.parent for about in source.videos.values() if about.path is not None), "FOLDER")
        return f"no videos to play: give the folder of their files (--media {parsed})"
    return f"{len(lacking)} of {len(source.videos)} videos have no file (such as '{lacking[0]}')"
