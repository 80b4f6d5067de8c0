"""The embedded cache's store: an SQLite database that all HTTP workers of a run share.

A read takes microseconds and waits for no writer.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from local_server.database import PAGE_BYTES, open_database, transaction

if TYPE_CHECKING:
    from pathlib import Path

# As much as the Redis in Compose may have. A record has 1 to 3 KB.
MAX_BYTES = 100_000_000
# If the database is full, so many records give way, those that would expire first.
GIVE_WAY = 100

TABLES = """
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, expires REAL NOT NULL, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_expiry ON records (expires);
"""
READ = "SELECT content FROM records WHERE name = ? AND expires > ?"
WRITE = """
INSERT INTO records VALUES (:name, :expires, :content) ON CONFLICT (name)
DO UPDATE SET expires = excluded.expires, content = excluded.content WHERE :replace OR expires <= :now
"""
# Not all at once, which could take long.
FORGET_EXPIRED = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? LIMIT 10)"
MAKE_ROOM = f"DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY expires LIMIT {GIVE_WAY})"  # noqa: S608 - a constant


class FileStore:
    """Values in an SQLite database. Each process opens it for itself, with its first operation."""

    def __init__(self, path: Path | None, max_bytes: int = MAX_BYTES) -> None:
        """Keep values in the file at `path`; without it, in the memory of this process. max_bytes: of the database."""
        self.path = path
        self.max_pages = max_bytes // PAGE_BYTES
        self.database: sqlite3.Connection | None = None

    async def read(self, name: str) -> bytes:
        """Return the value; nothing if there is none, or none any more. Raises sqlite3.Error."""
        row = self.opened().execute(READ, (name, time.time())).fetchone()
        return row[0] if row else b""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        """Keep a value for some seconds, and return whether it is kept. Raises sqlite3.Error: the disk may be full."""
        now = time.time()
        values = {"name": name, "expires": now + seconds, "content": content, "replace": replace, "now": now}
        database = self.opened()
        try:
            with transaction(database):
                database.execute(FORGET_EXPIRED, (now,))
                return database.execute(WRITE, values).rowcount > 0
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            with transaction(database):
                database.execute(MAKE_ROOM)
                return database.execute(WRITE, values).rowcount > 0

    def opened(self) -> sqlite3.Connection:
        """Return the database. Raises sqlite3.Error."""
        if not self.database:
            self.database = open_database(self.path, TABLES, self.max_pages)
        return self.database

    def close(self) -> None:
        """Close the database."""
        if self.database:
            self.database.close()
            self.database = None
