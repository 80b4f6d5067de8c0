"""Where the rows of a run go: standard output, or a file that can be resumed. A kill tears no line.

The rows of a Parquet file go to a journal beside it, as JSON lines, because Parquet is written as a whole.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from intensity.given import STANDARD_OUTPUT
from intensity.lines import BOM, lines
from intensity.resume import Form, ResumeError, take_up
from intensity.sorting import Sorted
from intensity.writing import OutputError, TargetError, has_content, locked, some

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from intensity.given import Given
    from intensity.plan import Plan
    from intensity.rows import Method, Row
    from intensity.summary import Counts


class Output:
    def __init__(self, given: Given, method: Method) -> None:
        self._given = given
        self._form = Form(given.layout, given.full, method)
        self._lines = lines(given.layout, full=given.full, only=given.only, colors=given.colors)
        self._sorted = Sorted() if given.sort else None
        # What stands in front of the next row.
        self._before, self._failed = "", False
        file = given.output
        self._file = file.with_name(f"{file.name}.partial.jsonl") if file and given.parquet else file
        self._name = str(self._file or "standard output")
        self._descriptor = STANDARD_OUTPUT

    def check(self) -> None:
        """Raise TargetError if results would be overwritten by accident."""
        if self._given.force or self._given.resume:
            return
        for file in filter(None, (self._given.output, self._file)):
            try:
                new = not has_content(file)
            except OSError as error:
                raise TargetError(f"cannot write {file}: {error.strerror}") from error
            if not new:
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
        if self._given.layout == "json" or not self._regular or not os.fstat(self._descriptor).st_size:
            self._before = f"{BOM if self._given.excel else ''}{self._lines.head}"
        if self._given.layout != "table":
            self._write(self._before)
            self._before = ""

    def _open(self, file: Path, plan: Plan, counts: Counts) -> None:
        """Open a file. Raises TargetError, ResumeError and OSError."""
        self._descriptor = locked(file)
        if self._given.force and self._regular:
            os.ftruncate(self._descriptor, 0)
        elif self._given.resume:
            if not has_content(file):
                self._unpack(file)
            if has_content(file):
                take_up(file, self._form, plan, counts, retry=self._given.retry_problems)
            # Both may have put another file in its place.
            os.close(self._descriptor)
            self._descriptor = locked(file)
        else:
            self._check_again(file)

    def _check_again(self, file: Path) -> None:
        """Raise TargetError if another run has written results while this one listed. From now on, none does."""
        try:
            self.check()
        except TargetError:
            if not has_content(file):
                # A journal beside a Parquet file that is new.
                file.unlink()
            raise

    def _unpack(self, journal: Path) -> None:
        """Write the rows of a finished Parquet file into a journal. Raises TargetError."""
        file = self._given.output
        if not file or not self._given.parquet or not has_content(file):
            return
        from intensity.parquet import ParquetError, unpack  # noqa: PLC0415 - it needs DuckDB

        try:
            unpack(file, journal, full=self._given.full)
        except ParquetError as error:
            journal.unlink()
            raise TargetError(f"cannot resume {file}: {error}") from error

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows. Raises OutputError; the file then ends with the last whole row that had space."""
        if self._sorted and self._given.sort:
            for row in rows:
                self._sorted.add(self._given.sort.value(row.values(full=self._given.full)), self._lines.line(row))
        else:
            self._write_lines(map(self._lines.line, rows))

    def _write_lines(self, lines: Iterable[str]) -> None:
        parts = []
        for line in lines:
            parts += [self._before, line]
            self._before = self._lines.between
        self._write("".join(parts))

    def close(self, *, complete: bool) -> None:
        """Wait until everything is on the disk. Make a Parquet file if it is `complete`. Raises OutputError."""
        if not self._failed:
            # Row by row: memory does not grow with their number.
            for line in self._sorted.lines(reverse=self._given.reverse) if self._sorted else ():
                self._write_lines([line])
            self._write(self._lines.tail)
        try:
            if self._regular:
                os.fsync(self._descriptor)
            if complete and self._file and self._given.output and self._given.parquet:
                self._pack(self._file, self._given.output)
            os.close(self._descriptor)
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    def _pack(self, journal: Path, file: Path) -> None:
        """Make a Parquet file. Raises OutputError and OSError."""
        from intensity.parquet import ParquetError, pack  # noqa: PLC0415 - it needs DuckDB

        try:
            pack(journal, file, full=self._given.full)
        except ParquetError as error:
            raise OutputError(f"{error}; the rows are in {journal}, and --resume tries again") from error
        journal.unlink()

    @property
    def _regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def _write(self, text: str) -> None:
        """Write lines. Raises OutputError."""
        data, written = text.encode(errors="backslashreplace"), 0
        try:
            while written < len(data):
                written += some(self._descriptor, data[written:])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed = True
            if self._regular:
                torn = written - (data.rfind(b"\n", 0, written) + 1)
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error
