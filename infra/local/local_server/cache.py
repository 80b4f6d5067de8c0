"""The embedded cache's store: an SQLite database that all workers of a run share, and that ends with it.

A worker that is killed in the middle of a write leaves no lock and no half of it. Nothing is ever flushed to the disk.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A write waits so long for writes of other workers, which take 0.05 ms each. Meanwhile, its worker does nothing else.
LOCK_SECONDS = 0.1
# As much as the Redis in Compose may have. A record has 1 to 3 KB.
MAX_BYTES = 100_000_000

# Readers and a writer do not wait for each other.
TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, expires REAL NOT NULL, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_expiry ON records (expires);
"""
READ = "SELECT content FROM records WHERE name = ? AND expires > ?"
WRITE = """
INSERT INTO records VALUES (:name, :expires, :content) ON CONFLICT (name)
DO UPDATE SET expires = excluded.expires, content = excluded.content WHERE :replace OR expires <= :now
"""
# If the database is full: those that have expired, or will be the next to.
EVICT = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY expires LIMIT 100)"


def prepare_database(path: Path) -> None:
    """Make the database, before there are workers: SQLite refuses at once if two change the mode of its journal."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(TABLES)


class FileStore:
    """Values in an SQLite database. Each process opens it for itself, with its first operation."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        # A page of SQLite has 4 KB.
        self.path, self.max_pages = path, max_bytes // 4096

    async def read(self, name: str) -> bytes:
        row = self.database.execute(READ, (name, time.time())).fetchone()
        return row[0] if row else b""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        now = time.time()
        values = {"name": name, "expires": now + seconds, "content": content, "replace": replace, "now": now}
        with self.database:
            try:
                return self.database.execute(WRITE, values).rowcount > 0
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                self.database.execute(EVICT)
                return self.database.execute(WRITE, values).rowcount > 0

    @cached_property
    def database(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level="IMMEDIATE")
        database.executescript(f"PRAGMA synchronous = OFF; PRAGMA max_page_count = {self.max_pages}")
        return database
