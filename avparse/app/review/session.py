"""A review in progress: items are handed out, and what people decide is kept, undone and counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from avparse.app.review.database import Database
from avparse.app.review.log import SKIP, UNDO, Action, Standing, append, last_of, read_since
from avparse.app.review.media import MediaFiles
from avparse.app.review.queue import Queue, Wish
from avparse.app.review.shown import Shown, noise, progress
from avparse.app.review.source import ReviewSource
from avparse.foundation.errors import UserError
from avparse.labels.reviewing.decision import Decision
from avparse.labels.reviewing.noise_left import NoiseLeft, noise_left

# The estimate of the noise is made anew after a pause, at least this long and this many times what it took.
_NOISE_S, _NOISE_SHARE = 2.0, 10.0


class Review:
    """One program's part in a review; several may work on one database.

    Args:
        database: open database, in which ``source`` is enrolled.
        source: labels or timelines.
        media: files of the videos.
        overlap: share of the items that two reviewers get.
        clock: function that returns the time in Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        source: ReviewSource,
        media: MediaFiles,
        overlap: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source, self.media = source, media
        self._database, self._clock, self._lock = database, clock, threading.RLock()
        self._rows = {row.item.key: row for row in source.rows}
        self._items = [row.item for row in source.rows]
        self._queue, self._shown = Queue(self._items, overlap), Shown(source, media)
        self._actions: list[Action] = []
        self._standing = Standing()
        self._noise: tuple[float, int, NoiseLeft] | None = None

    def next(self, wish: Wish) -> dict[str, Any]:
        """Hand out the next item, with the number of items that are open."""
        with self._lock, self._database.writing() as connection:
            self._read(connection)
            item = self._queue.next(connection, wish, self._clock())
            left = self._queue.open(wish)
        return {"item": None if item is None else self._shown.item(item), "open": left}

    def act(self, tab: str, action: Action) -> None:
        """Store a verdict or that an item was passed over; it is on the disk when this returns.

        Args:
            tab: name of the page that sends it.
            action: verdict or skip to store; its number and time are set here.

        Raises:
            UserError: there is no such item, or moved edges are not inside the video or not those of an event.
        """
        row = self._rows.get(action.key)
        if row is None:
            raise UserError("there is no such item in this review; load the page again")
        self._check_edges(action)
        with self._lock, self._database.writing() as connection:
            append(connection, Action(0, self._clock(), *_content(action)))
            lease = (action.key, action.author, tab)
            connection.execute("DELETE FROM leases WHERE key = ? AND author = ? AND tab = ?", lease)
            self._read(connection)

    def undo(self, author: str) -> dict[str, Any]:
        """Take back the last action of an author that stands, and return its item; None where there is none."""
        with self._lock, self._database.writing() as connection:
            self._read(connection)
            last = last_of(self._actions, author)
            if last is None:
                return {"item": None}
            append(connection, Action(0, self._clock(), author, last.key, UNDO, undoes=last.number))
            self._read(connection)
        row = self._rows.get(last.key)
        taken = {"action": last.action, "onset": last.onset, "offset": last.offset, "note": last.note}
        return {"item": None if row is None else self._shown.item(row.item), "taken_back": taken}

    def progress(self, author: str) -> dict[str, Any]:
        """Return how far the review is; see :func:`avparse.app.review.shown.progress`."""
        with self._lock:
            with self._database.reading() as connection:
                self._read(connection)
            number = self._actions[-1].number if self._actions else 0
            decisions = self._standing.decisions()
            found = progress(self.source.rows, self._standing, author)
        return {**found, "noise": noise(self._noise_left(decisions, number))}

    def counts(self) -> tuple[int, int]:
        """Return the numbers of settled items and of all items."""
        with self._lock, self._database.reading() as connection:
            self._read(connection)
            return sum(key in self._standing.settled for key in self._rows), len(self._rows)

    def _read(self, connection: Any) -> None:
        """Take up what was added to the log since, by this program or another."""
        new = read_since(connection, self._actions[-1].number if self._actions else 0)
        if new:
            self._actions += new
            new = [action for action in new if action.key in self._rows]
            if any(action.undoes is not None for action in new):
                self._standing = Standing.of(action for action in self._actions if action.key in self._rows)
            else:
                for action in new:
                    self._standing.add(action)
            self._queue.update(self._standing, new)

    def _noise_left(self, decisions: Sequence[Decision], number: int) -> NoiseLeft:
        now, before = time.monotonic(), self._noise
        if before is not None and (before[1] == number or now < before[0]):
            return before[2]
        found = noise_left(self._items, decisions, propagate=False)
        after = time.monotonic()
        self._noise = (after + max(_NOISE_S, _NOISE_SHARE * (after - now)), number, found)
        return found

    def _check_edges(self, action: Action) -> None:
        onset, offset = action.onset, action.offset
        if onset is None and offset is None:
            return
        item = self._rows[action.key].item
        if item.onset is None or item.offset is None or action.action == SKIP:
            raise UserError("only the edges of an event can be moved")
        first, last = item.onset if onset is None else onset, item.offset if offset is None else offset
        if not 0 <= first < last <= self.source.videos[item.video].duration + 1e-6:
            raise UserError(f"an event from {first:g} to {last:g} s is not inside its video")


def _content(action: Action) -> tuple[Any, ...]:
    return (action.author, action.key, action.action, action.onset, action.offset, action.note)
