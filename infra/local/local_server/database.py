"""The SQLite databases that all HTTP workers of a run share.

A worker that is killed in the middle of a write leaves no lock and no half of it behind. A database is private to the
run and ends with it: nothing is ever flushed to the disk.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE_BYTES = 4096
# A write waits so long for writes of other workers, which take 0.05 ms each. Meanwhile, its worker does nothing else.
# Counters wait in another way (`Counters.in_turn`).
LOCK_SECONDS = 0.1


def open_database(path: Path | None, tables: str, max_pages: int) -> sqlite3.Connection:
    """Open the database at `path`, and create its tables if they are missing; without it, one in memory.

    max_pages: how many pages of `PAGE_BYTES` it may have. Raises sqlite3.Error.
    """
    database = sqlite3.connect(path or ":memory:", timeout=LOCK_SECONDS, isolation_level=None)
    try:
        with one_at_a_time(path):
            # Readers and a writer do not wait for each other.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"PRAGMA max_page_count = {max_pages}")
            database.executescript(tables)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def one_at_a_time(path: Path | None) -> Iterator[None]:
    """Let no other process open the database: SQLite refuses at once if two change the mode of its journal.

    The lock is on the folder. SQLite would lose its own locks if another descriptor of its file were closed.
    """
    if not path:
        yield
        return
    # Not on Windows, where one worker serves alone, with a database in memory.
    import fcntl  # noqa: PLC0415

    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise sqlite3.OperationalError(str(error)) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Do all of the block, or nothing if it raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        # After some errors, SQLite has already done this.
        if database.in_transaction:
            database.execute("ROLLBACK")
