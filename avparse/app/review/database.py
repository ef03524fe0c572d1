"""The file of a review: an SQLite database whose changes are on the disk before they are answered.

It is in write-ahead mode with full syncing, so a committed change survives a killed program and a power failure, and
several programs may work on one file at once. What is reviewed is in the tables ``videos`` and ``items``, what people
did in ``log``, to which rows are only ever added, and what is handed out at the moment in ``leases``.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from avparse.foundation.errors import UserError

ENDING = ".review.sqlite"
_APPLICATION, _VERSION = 0x61767276, 1  # "avrv", in the header of the file
_BUSY_S = 15.0
_SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE videos (video TEXT PRIMARY KEY, state TEXT NOT NULL, duration REAL NOT NULL) STRICT",
    "CREATE TABLE items (key TEXT PRIMARY KEY, video TEXT NOT NULL, class TEXT NOT NULL, modality TEXT NOT NULL, "
    "onset REAL, offset REAL, probability REAL NOT NULL, given INTEGER NOT NULL, target REAL NOT NULL, "
    "quality REAL NOT NULL, reason TEXT NOT NULL) STRICT",
    "CREATE TABLE log (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, author TEXT NOT NULL, "
    "key TEXT NOT NULL, action TEXT NOT NULL, onset REAL, offset REAL, note TEXT NOT NULL, undoes INTEGER) STRICT",
    "CREATE TABLE leases (key TEXT NOT NULL, author TEXT NOT NULL, tab TEXT NOT NULL, until REAL NOT NULL, "
    "PRIMARY KEY (key, author)) STRICT",
)
_MADE_BY_SQLITE = "sqlite_"
_PROBLEMS = (
    ("locked", "another program has kept it busy for long; try again, or stop that program"),
    ("disk is full", "the disk is full; free some space"),
    ("disk I/O error", "the disk cannot write it; check the disk"),
    ("readonly", "it cannot be written; choose a place where you may write (--database FILE)"),
    ("unable to open", "it cannot be opened or made there; choose a place where you may write (--database FILE)"),
)


class Database:
    """An open database of a review; its methods may be called from several threads.

    Args:
        path: path of the file.
        connection: open connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection, self._lock = connection, threading.RLock()

    @classmethod
    def open(cls, path: Path, create: bool = False) -> Self:
        """Open a database and check it.

        Args:
            path: path of the file.
            create: whether to make it where it is missing.

        Raises:
            UserError: the file is missing, cannot be read or written, is damaged, or is no database of a review.
        """
        if not create and not path.is_file():
            raise UserError(f"{path}: there is no such review; begin one with 'avparse review'")
        with _told(path):
            connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Do all of the block or nothing, with no other writer in between; it is on the disk when the block has ended.

        Raises:
            UserError: the disk refuses, or another program keeps the file busy.
        """
        with self._lock, _told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read in the block.

        Raises:
            UserError: the file cannot be read.
        """
        with self._lock, _told(self.path):
            yield self._connection

    def about(self) -> dict[str, str]:
        """Return what the database remembers of itself, by name."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT name, value FROM about"))

    def close(self) -> None:
        """Close the file; nothing that was committed is lost without it."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set up a connection, make the tables of a new file, and refuse a file that is something else.

    A file that somebody else made could hold triggers, which run with what is written; it must have exactly our tables.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    tables = _tables(connection)
    if tables and application != _APPLICATION:
        raise UserError(f"{path}: a database, and not one of a review; choose another name (--database FILE)")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise UserError(f"{path}: its file system cannot keep a review; choose a local folder (--database FILE)")
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        _make(connection)
    elif version != _VERSION or tables != set(_SCHEMA):
        raise UserError(f"{path}: made by another version of avparse, or changed by another program; use a copy")
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if not _tables(connection):  # else another program has made them meanwhile
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _tables(connection: sqlite3.Connection) -> set[str]:
    """Return the statements that made everything in the file."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master")
    return {sql for name, sql in rows if not name.startswith(_MADE_BY_SQLITE)}


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into one clear line."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = next((told for part, told in _PROBLEMS if part in str(error)), None)
        if reason is None:
            what = " ".join(str(error).split())[:120]
            reason = f"damaged, or no database ({what}); restore it from a copy, or choose another (--database FILE)"
        raise UserError(f"{path}: {reason}") from error
