"""Lines in the order of a column, in a temporary database on disk, as `intensity.plan`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE lines (key, line TEXT);
"""


class Sorted:
    """Every method raises sqlite3.Error if the temporary folder is full."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(SCHEMA)

    def add(self, key: Any, line: str) -> None:  # noqa: ANN401 - of any column
        self._database.execute("INSERT INTO lines VALUES (?, ?)", (key, line))

    def lines(self, *, reverse: bool) -> Iterator[str]:
        """Yield the lines in order; those without a value last, and those of the same value as they came."""
        order = f"ORDER BY key IS NULL, key {'DESC' if reverse else 'ASC'}, rowid"
        with closing(self._database.execute(f"SELECT line FROM lines {order}")) as rows:  # noqa: S608 - no input
            yield from (line for (line,) in rows)
