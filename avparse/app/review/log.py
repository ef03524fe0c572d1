"""What reviewers did: a log to which rows are only ever added, and what stands of it after all undoing."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from avparse.labels.reviewing.decision import Decision, Verdict, settled

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


@dataclass
class Standing:
    """What stands of a log: the last action of each author about each item that is not undone.

    Attributes:
        verdicts: verdicts in the order in which they were given.
        authors: authors of verdicts about each item, by key.
        skipped: items that an author has passed over last, by author, in that order.
        settled: whether each item is right, by key, as far as the verdicts say.
    """

    verdicts: list[Action] = field(default_factory=list)
    authors: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    skipped: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    settled: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Standing:
        """Return what stands of all actions of a log."""
        actions = list(actions)
        undone = {action.undoes for action in actions}
        last: dict[tuple[str, str], Action] = {}
        for action in actions:
            if action.action != UNDO and action.number not in undone:
                last.pop((action.author, action.key), None)  # so that the order is that of the last ones
                last[action.author, action.key] = action
        found = cls()
        for action in last.values():
            if action.decides:
                found.verdicts.append(action)
                found.authors[action.key].add(action.author)
            elif action.action == SKIP:
                found.skipped[action.author][action.key] = None
        found.settled = settled(found.decisions())
        return found

    def decisions(self) -> list[Decision]:
        """Return the verdicts as decisions, in the order in which they were given."""
        return [action.decision() for action in self.verdicts]
