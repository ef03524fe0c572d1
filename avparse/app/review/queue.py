"""Which item a reviewer gets next; what one is looking at is handed to nobody else."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from avparse.app.review.log import Action, Standing
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.order import ActiveOrder

Order = Literal["informative", "wrong"]
LEASE_S = 600.0  # after which an item that nobody decided about is handed to others
_HASHED = 1 << 32


@dataclass(frozen=True)
class Wish:
    """What a reviewer asks for.

    Attributes:
        author: name of the reviewer.
        tab: name of the page that asks; one reviewer may have several open.
        modality: ``audio`` or ``visual``; empty for both.
        order: most informative first, or most likely wrong first.
        held: keys of items that the page has already.
    """

    author: str
    tab: str
    modality: Literal["", "audio", "visual"] = ""
    order: Order = "informative"
    held: tuple[str, ...] = ()


class Queue:
    """The items that wait, in the order in which they are handed out.

    Args:
        items: all items of the review.
        overlap: share of the items that two reviewers get.
    """

    def __init__(self, items: Sequence[ReviewItem], overlap: float = 0.0) -> None:
        self._items = {item.key: item for item in items}
        self._by_probability = [item.key for item in sorted(items, key=lambda item: item.probability)]
        self._twice = {key for key in self._items if _share(key) < overlap}
        self._order = ActiveOrder(items)
        self._standing = Standing()

    def update(self, standing: Standing, new: Iterable[Action]) -> None:
        """Take what stands of the log now, and the actions that were added to it."""
        new = [action for action in new if action.key in self._items]
        if any(action.undoes is not None for action in new):
            self._order = ActiveOrder(tuple(self._items.values()))
            new = [action for action in standing.verdicts if action.key in self._items]
        for action in new:
            if action.decides:
                self._order.decided(action.decision())
        self._standing = standing

    def next(self, connection: sqlite3.Connection, wish: Wish, now: float) -> ReviewItem | None:
        """Hand out an item; None where all that is open is decided about or in other hands.

        To be called in a block that writes.

        Args:
            connection: connection to the database.
            wish: item that the reviewer asks for.
            now: time in Unix seconds.
        """
        connection.execute("DELETE FROM leases WHERE until <= ?", (now,))
        leases = connection.execute("SELECT key, author, tab FROM leases").fetchall()
        others = {key for key, author, tab in leases if (author, tab) != (wish.author, wish.tab)}
        dropped = [k for k, author, tab in leases if (author, tab) == (wish.author, wish.tab) and k not in wish.held]
        connection.executemany("DELETE FROM leases WHERE key = ? AND author = ?", [(k, wish.author) for k in dropped])
        found = next(self._candidates(wish, others), None)
        if found is None:
            return None
        row = (found, wish.author, wish.tab, now + LEASE_S)
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", row)
        return self._items[found]

    def open(self, wish: Wish) -> int:
        """Return the number of items that nobody has settled, of the modality that is asked for."""
        return sum(key not in self._standing.settled for key in self._wished(wish))

    def _candidates(self, wish: Wish, others: Collection[str]) -> Iterator[str]:
        """Yield keys of items for a reviewer, the best one first."""
        standing, wished = self._standing, set(self._wished(wish)) - set(wish.held)
        skipped = standing.skipped.get(wish.author, {})
        free = wished - set(others)
        for key, authors in standing.authors.items():
            if key in free and key in self._twice and len(authors) == 1 and wish.author not in authors | set(skipped):
                yield key
        later = [key for key in skipped if key in free and key not in standing.settled]
        free -= set(later)
        if wish.order == "wrong":
            yield from (key for key in self._by_probability if key in free and key not in standing.settled)
        else:
            found = self._order.next(skip=self._items.keys() - free)
            if found is not None:
                yield found.key
        yield from later  # what was passed over comes again when nothing else is left

    def _wished(self, wish: Wish) -> Iterator[str]:
        return (key for key, item in self._items.items() if wish.modality in ("", item.modality))


def _share(key: str) -> float:
    """Return a number in [0, 1) that is drawn for a key and is always the same."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4], "big") / _HASHED
