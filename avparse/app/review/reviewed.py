"""What a database reviews: written when a review begins, checked when it goes on, and read for the export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from avparse.app.review.database import Database
from avparse.app.review.source import Kind, ReviewSource, Row
from avparse.foundation.errors import UserError
from avparse.labels.reviewing.item import ReviewItem

_COLUMNS = "key, video, class, modality, onset, offset, probability, given, target, quality, reason"


@dataclass(frozen=True)
class Reviewed:
    """What a database reviews.

    Attributes:
        kind: whether these are labels or timelines.
        classes: names of the classes.
        videos: digest of what is asked about each video, by id.
        rows: all items of the review.
    """

    kind: Kind
    classes: tuple[str, ...]
    videos: dict[str, str]
    rows: tuple[Row, ...]


def enrol(database: Database, source: ReviewSource, store: str = "") -> None:
    """Write down what is reviewed, or check that it is what the database has reviewed so far; new videos are added.

    What a denoiser suggests may have changed since, because decisions are about the labels that were given.

    Args:
        database: open database of the review.
        source: labels or timelines.
        store: path of the feature store, if there is one; an export may be asked for by it.

    Raises:
        UserError: the database reviews something else.
    """
    with database.writing() as connection:
        kind = connection.execute("SELECT value FROM about WHERE name = 'kind'").fetchone()
        known: dict[str, str] = dict(connection.execute("SELECT video, state FROM videos"))
        advice = "give another with --database FILE, or move it away"
        if kind is not None and kind[0] != source.kind:
            raise UserError(f"{database.path}: reviews {kind[0]}, not {source.kind}; {advice}")
        if known and not known.keys() & source.videos.keys():
            raise UserError(f"{database.path}: reviews other {source.kind}, none of {source.where}; {advice}")
        changed = [video for video, now in source.videos.items() if known.get(video, now.state) != now.state]
        if changed:
            more = f" and of {len(changed) - 1} others" if len(changed) > 1 else ""
            raise UserError(
                f"{database.path}: the {source.kind} of video '{changed[0]}'{more} in {source.where} are not those "
                f"that it reviews; {advice}"
            )
        about = {"kind": source.kind, "classes": json.dumps(source.classes), "where": source.where, "store": store}
        connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
        videos = [(video, of.state, of.duration) for video, of in source.videos.items()]
        connection.executemany("INSERT OR REPLACE INTO videos VALUES (?, ?, ?)", videos)
        connection.executemany("DELETE FROM items WHERE video = ?", [(video,) for video in source.videos])
        connection.executemany(f"INSERT INTO items VALUES ({', '.join('?' * 11)})", map(_cells, source.rows))


def read_reviewed(database: Database) -> Reviewed:
    """Read what a database reviews.

    Raises:
        UserError: nothing was ever reviewed in it, or a value is damaged.
    """
    about = database.about()
    if "kind" not in about:
        raise UserError(f"{database.path}: nothing was reviewed in it; begin with 'avparse review'")
    with database.reading() as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM items ORDER BY rowid").fetchall()
        videos = dict(connection.execute("SELECT video, state FROM videos ORDER BY rowid"))
    try:
        kind: Kind = "labels" if about["kind"] == "labels" else "timelines"
        return Reviewed(kind, tuple(map(str, json.loads(about["classes"]))), videos, tuple(map(_row, rows)))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{database.path}: damaged ({error}); restore it from a copy") from None


def _cells(row: Row) -> Sequence[str | float | int | None]:
    item = row.item
    about = (item.key, item.video, item.class_name, item.modality, item.onset, item.offset, item.probability)
    return (*about, int(row.given), row.target, row.quality, row.reason)


def _row(cells: tuple[str, str, str, str, float | None, float | None, float, int, float, float, str]) -> Row:
    key, video, name, modality, onset, offset, probability, given, target, quality, reason = cells
    item = ReviewItem(video, name, "audio" if modality == "audio" else "visual", probability, onset, offset)
    if item.key != key or item.modality != modality:
        raise ValueError(f"item {key[:80]}")
    return Row(item, bool(given), target, quality, reason)
