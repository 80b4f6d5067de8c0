"""Where the rows of a run go: standard output, or a file that can be resumed. A kill tears no line.

The rows of a Parquet file go to a journal beside it, as JSON lines, because Parquet is written as a whole.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from intensity.lines import BOM, lines
from intensity.plan import Sorted
from intensity.resume import take_up
from intensity.writing import (
    STANDARD_OUTPUT,
    OutputError,
    ResumeError,
    TargetError,
    has_content,
    locked,
    regular,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from intensity.given import Given
    from intensity.plan import Plan
    from intensity.rows import Method, Row
    from intensity.summary import Counts


class Output:
    def __init__(self, given: Given, method: Method) -> None:
        self._given, self._method = given, method
        self._lines = lines(given.layout, full=given.full, only=given.only, colors=given.colors)
        self._sorted = Sorted() if given.sort else None
        # What stands in front of the next row.
        self._before = ""
        file = given.output
        self._file = file.with_name(f"{file.name}.partial.jsonl") if file and given.parquet else file
        self._name = str(file or "standard output")
        self._descriptor = STANDARD_OUTPUT

    def check(self) -> None:
        """Raise TargetError if results would be overwritten by accident."""
        if self._given.force or self._given.resume:
            return
        for file in filter(None, (self._given.output, self._file)):
            if has_content(file):
                raise TargetError(f"{file} exists: --resume continues it, --force overwrites it")

    def open(self, plan: Plan, counts: Counts) -> None:
        """Open it, and write the head. With --resume, mark its files in `plan` and count its rows in `counts`.

        Raises TargetError and OutputError.
        """
        try:
            if self._file:
                self._open(self._file, plan, counts)
        except ResumeError as error:
            raise TargetError(f"cannot resume {self._name}: {error}; nothing was changed") from error
        except OSError as error:
            raise TargetError(f"cannot write {self._name}: {error.strerror}") from error
        new = not regular(self._descriptor) or not os.fstat(self._descriptor).st_size
        if new or self._given.layout == "json":
            self._before = f"{BOM if self._given.excel else ''}{self._lines.head}"
        if self._given.layout != "table":
            write(self._before, self._descriptor, self._name)
            self._before = ""

    def _open(self, file: Path, plan: Plan, counts: Counts) -> None:
        """Open a file. Raises TargetError, ResumeError and OSError."""
        # Another run may have written results while this one listed. From then on, none does.
        self.check()
        self._descriptor = locked(file)
        self.check()
        if self._given.force and regular(self._descriptor):
            os.ftruncate(self._descriptor, 0)
        if self._given.resume:
            self._resume(file, plan, counts)
            # It may have put another file in its place.
            os.close(self._descriptor)
            self._descriptor = locked(file)

    def _resume(self, file: Path, plan: Plan, counts: Counts) -> None:
        """Take up what is in a file, or in a finished Parquet file. Raises ResumeError and OSError."""
        finished = self._given.output
        if finished and self._given.parquet and has_content(finished) and not has_content(file):
            from intensity.parquet import unpack  # noqa: PLC0415 - it needs DuckDB

            try:
                unpack(finished, file, full=self._given.full)
            except ResumeError:
                file.unlink()
                raise
        if has_content(file):
            take_up(file, self._given, self._method, plan, counts)

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows. Raises OutputError; the file then ends with the last whole row that had space."""
        if self._sorted and self._given.sort:
            for row in rows:
                self._sorted.add(self._given.sort.value(row), self._lines.line(row))
        else:
            self._write_lines(map(self._lines.line, rows))

    def _write_lines(self, lines: Iterable[str]) -> None:
        parts = []
        for line in lines:
            parts += [self._before, line]
            self._before = self._lines.between
        write("".join(parts), self._descriptor, self._name)

    def close(self, *, complete: bool) -> None:
        """Wait until everything is on the disk. Make a Parquet file if it is `complete`. Raises OutputError."""
        # Row by row: memory does not grow with their number.
        for line in self._sorted.lines(reverse=self._given.reverse) if self._sorted else ():
            self._write_lines([line])
        write(self._lines.tail, self._descriptor, self._name)
        try:
            if regular(self._descriptor):
                os.fsync(self._descriptor)
            if complete and self._file and self._given.output and self._given.parquet:
                from intensity.parquet import pack  # noqa: PLC0415 - it needs DuckDB

                pack(self._file, self._given.output, full=self._given.full)
                self._file.unlink()
            os.close(self._descriptor)
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error
