"""Lines in the order of a column, in a temporary database on disk."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from intensity.plan import temporary

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sorted:
    """Every method raises sqlite3.Error if the temporary folder is full."""

    def __init__(self) -> None:
        self._database = temporary("CREATE TABLE lines (key, line TEXT)")

    def add(self, key: Any, line: str) -> None:  # noqa: ANN401 - of any column
        self._database.execute("INSERT INTO lines VALUES (?, ?)", (key, line))

    def lines(self, *, reverse: bool) -> Iterator[str]:
        """Yield the lines in order; those without a value last, and those of the same value as they came."""
        order = f"ORDER BY key IS NULL, key {'DESC' if reverse else 'ASC'}, rowid"
        with closing(self._database.execute(f"SELECT line FROM lines {order}")) as rows:  # noqa: S608 - no input
            yield from (line for (line,) in rows)
