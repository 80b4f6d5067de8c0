"""Counters that all HTTP workers of a run share: a storage for `limits` in an SQLite database."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from limits.aio.storage import Storage

from local_server.database import open_database, transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")

# How often an operation looks whether another process still has the database. SQLite would look less and less often, up
# to ten times a second, and meanwhile the others would always be faster. How long it looks, `RateLimits` decides.
LOOK_SECONDS = 0.001
# A counter takes about 100 bytes. When there is no room for more, counting fails, and `RateLimits` lets everyone in.
MAX_PAGES = 16_000

TABLES = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL);
CREATE INDEX IF NOT EXISTS by_end ON counters (ends);
"""
# In `DO UPDATE`, the names of the columns are the values before it. A window that has ended begins anew. So does one
# that ends later than one that begins now: the clock was set back.
ADD = """
INSERT INTO counters VALUES (:name, :amount, :now + :seconds) ON CONFLICT (name) DO UPDATE SET
    count = CASE WHEN ends > :now AND ends <= :now + :seconds THEN count + :amount ELSE :amount END,
    ends = CASE WHEN ends > :now AND ends <= :now + :seconds THEN ends ELSE :now + :seconds END
"""
READ = "SELECT count, ends FROM counters WHERE name = ?"
# Each new counter can remove several old ones. So there are never many, and no request pays for all of them.
FORGET_ENDED = "DELETE FROM counters WHERE rowid IN (SELECT rowid FROM counters WHERE ends <= ? LIMIT 10)"


class Counters(Storage):
    """A counter for each name, until its window ends.

    A transaction has the database to itself among all processes, so no request is lost or counted twice.
    """

    STORAGE_SCHEME = None

    def __init__(self, path: Path | None) -> None:
        """Count in the file at `path`; without it, in the memory of this process."""
        super().__init__()
        self.path = path

    @cached_property
    def database(self) -> sqlite3.Connection:
        """The database, which the first use opens. If that fails, the next use tries again."""
        database = open_database(self.path, TABLES, MAX_PAGES)
        # From now on, `in_turn` waits, and other requests go on meanwhile.
        database.execute("PRAGMA busy_timeout = 0")
        return database

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a method may raise."""
        return sqlite3.Error

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to the counter, which begins a window of `expiry` seconds if it is in none. Return the sum."""

        def add() -> int:
            with transaction(self.database):
                # Not before its turn: who was first would seem to come from the future.
                now = time.time()
                self.database.execute(FORGET_ENDED, (now,))
                self.database.execute(ADD, {"name": key, "amount": amount, "now": now, "seconds": expiry})
                return self.read(key)[0]

        return await self.in_turn(add)

    async def get(self, key: str) -> int:
        """Return the count in the window; 0 if there is none."""
        count, ends = await self.in_turn(lambda: self.read(key))
        return count if ends > time.time() else 0

    async def get_expiry(self, key: str) -> float:
        """Return when the window of a counter ends (seconds since 1970)."""
        return (await self.in_turn(lambda: self.read(key)))[1]

    async def check(self) -> bool:
        """Return whether the counters can be read."""
        return self.read("") == (0, 0.0)

    async def reset(self) -> None:
        """Remove all counters."""
        self.database.execute("DELETE FROM counters")

    async def clear(self, key: str) -> None:
        """Remove one counter."""
        self.database.execute("DELETE FROM counters WHERE name = ?", (key,))

    async def in_turn(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, as soon as no other process has the database for itself."""
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                # The other bits say more exactly why. An error that is not SQLite's own has no code.
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    def read(self, name: str) -> tuple[int, float]:
        """Return a counter and when it ends; zeros if there is none."""
        return self.database.execute(READ, (name,)).fetchone() or (0, 0.0)
