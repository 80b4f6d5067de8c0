"""What may not fit into memory, in databases on disk. SQLite removes them when the program ends in any way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

from intensity.sources.paths import Found

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# How the sums count what is not added because it was there.
NAMED_AGAIN = "named_again"
SETTINGS = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
"""
SCHEMA = """
CREATE TABLE files (
    path BLOB PRIMARY KEY, argument INTEGER, code TEXT, detail TEXT, etag TEXT, size INTEGER, done INTEGER
) WITHOUT ROWID;
"""


def temporary(schema: str) -> sqlite3.Connection:
    """Return a database on disk that ends with the program."""
    # An empty name is such a database.
    database = sqlite3.connect("", isolation_level=None)
    database.executescript(SETTINGS + schema)
    return database


class Plan:
    """The files or objects that need a row, each once. Every method raises sqlite3.Error if the folder is full."""

    def __init__(self) -> None:
        self._database = temporary(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, argument: int, found: Found) -> bool:
        """Plan a file. Return False if it is planned already. `argument`: the number of the argument."""
        code, detail = found.problem or (None, None)
        insert = "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, 0)"
        values = (found.path, argument, code, detail, found.etag, found.size)
        return self._database.execute(insert, values).rowcount == 1

    def settle(self, path: bytes) -> bool:
        """Note that a file has its row. Return False if it is not planned or had one already."""
        return self._database.execute("UPDATE files SET done = 1 WHERE path = ? AND NOT done", (path,)).rowcount == 1

    def has(self, path: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone() is not None

    def unsettled(self) -> Generator[Found]:
        """Yield the files that have no row yet, by the order of what was named and within that by path."""
        select = "SELECT path, code, detail, etag, size FROM files WHERE NOT done ORDER BY argument, path"
        with closing(self._database.execute(select)) as rows:
            for path, code, detail, etag, size in rows:
                yield Found(path, (code, detail) if code else None, etag, size)


class Sorted:
    """Lines in the order of a column. Every method raises sqlite3.Error if the folder is full."""

    def __init__(self) -> None:
        self._database = temporary("CREATE TABLE lines (key, line TEXT)")

    def add(self, key: Any, line: str) -> None:  # noqa: ANN401 - of any column
        self._database.execute("INSERT INTO lines VALUES (?, ?)", (key, line))

    def lines(self, *, reverse: bool) -> Iterator[str]:
        """Yield the lines in order; those without a value last, and those of the same value as they came."""
        order = f"ORDER BY key IS NULL, key {'DESC' if reverse else 'ASC'}, rowid"
        with closing(self._database.execute(f"SELECT line FROM lines {order}")) as rows:  # noqa: S608 - no input
            yield from (line for (line,) in rows)
