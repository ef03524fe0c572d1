"""What reviewers did: a log to which rows are only ever added, and what stands of it after all undoing."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from avparse.labels.reviewing.decision import Decision, Verdict, other_modality, verdict_on

SKIP, UNDO = "skip", "undo"
VERDICTS = frozenset(verdict.value for verdict in Verdict)


@dataclass(frozen=True)
class Action:
    """One row of the log.

    Attributes:
        number: number of the row, which grows with time.
        at: time in Unix seconds.
        author: name of the reviewer.
        key: key of the item.
        action: a verdict, ``skip`` or ``undo``.
        onset, offset: moved edges of an event in seconds; None where they stay.
        note: remark of the reviewer.
        undoes: number of the row that is undone; None for any other action.
    """

    number: int
    at: float
    author: str
    key: str
    action: str
    onset: float | None = None
    offset: float | None = None
    note: str = ""
    undoes: int | None = None

    @property
    def decides(self) -> bool:
        """Whether this is a verdict."""
        return self.action in VERDICTS

    def decision(self) -> Decision:
        """Return the decision of a verdict."""
        return Decision(self.key, Verdict(self.action), self.author, self.onset, self.offset)


def append(connection: sqlite3.Connection, action: Action) -> int:
    """Add a row, whose number the database chooses, and return that; to be called in a block that writes."""
    values = (action.at, action.author, action.key, action.action, action.onset, action.offset, action.note)
    done = connection.execute("INSERT INTO log VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, action.undoes))
    return int(done.lastrowid or 0)


def read_since(connection: sqlite3.Connection, number: int) -> list[Action]:
    """Return the rows after a number; numbers are given under the lock for writing, so none is passed over."""
    rows = connection.execute("SELECT * FROM log WHERE number > ? ORDER BY number", (number,))
    return [Action(*row) for row in rows]


def last_of(actions: Iterable[Action], author: str) -> Action | None:
    """Return the last action of an author that is not undone; None if there is none."""
    actions = list(actions)
    undone = {action.undoes for action in actions}
    own = (a for a in reversed(actions) if a.author == author and a.action != UNDO and a.number not in undone)
    return next(own, None)


class Standing:
    """What stands of a log: the last action of each author about each item that is not undone.

    Attributes:
        authors: authors of verdicts about each item, by key.
        skipped: items that an author has passed over last, by author, in that order.
        settled: whether each item is right, by key, as far as the verdicts say.
    """

    def __init__(self) -> None:
        self.authors: dict[str, set[str]] = defaultdict(set)
        self.skipped: dict[str, dict[str, None]] = defaultdict(dict)
        self.settled: dict[str, bool] = {}
        self._last: dict[tuple[str, str], Action] = {}
        self._decisions: dict[str, Decision] = {}

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Standing:
        """Return what stands of all actions of a log."""
        actions, found = list(actions), cls()
        undone = {action.undoes for action in actions}
        for action in actions:
            if action.action != UNDO and action.number not in undone:
                found.add(action)
        return found

    def add(self, action: Action) -> None:
        """Take a verdict or that an item was passed over; it replaces an earlier one of its author about the item."""
        slot = (action.author, action.key)
        self._last.pop(slot, None)  # so that the order is that of the last ones
        self._last[slot] = action
        if action.decides:
            self.authors[action.key].add(action.author)
            self.skipped[action.author].pop(action.key, None)
            self._decisions[action.key] = action.decision()
        else:
            self.authors[action.key].discard(action.author)
            self.skipped[action.author][action.key] = None
            self._decisions.pop(action.key, None)
            others = [a for a in self._last.values() if a.key == action.key and a.decides]
            self._decisions.update({a.key: a.decision() for a in others})
        self._settle(action.key)

    @property
    def verdicts(self) -> list[Action]:
        """Verdicts in the order in which they were given."""
        return [action for action in self._last.values() if action.decides]

    def decisions(self) -> list[Decision]:
        """Return the verdicts as decisions, in the order in which they were given."""
        return [action.decision() for action in self.verdicts]

    def several(self) -> list[Decision]:
        """Return the decisions about items that several authors have decided about."""
        return [action.decision() for action in self.verdicts if len(self.authors[action.key]) > 1]

    def _settle(self, key: str) -> None:
        """Note what the decisions say of an item and of its twin in the other modality."""
        for one in (key, other_modality(key)):
            if one is not None:
                right = verdict_on(one, self._decisions)
                if right is None:
                    self.settled.pop(one, None)
                else:
                    self.settled[one] = right
