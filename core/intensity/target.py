"""Where the results of one run go: standard output, a file, or a journal that becomes a Parquet file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from intensity.lines import lines
from intensity.output import Output, OutputError, open_file
from intensity.resume import Form, ResumeError, take_up

if TYPE_CHECKING:
    from pathlib import Path

    from intensity.cli.arguments import Arguments
    from intensity.plan import Plan
    from intensity.rows import Method
    from intensity.summary import Counts


STANDARD_OUTPUT = 1


class TargetError(Exception):
    """The results cannot go where they should, and nothing was measured."""


class Target:
    """Where results go. With Parquet, rows go to a journal beside the file, because Parquet is written as a whole."""

    def __init__(self, arguments: Arguments, method: Method) -> None:
        """Nothing is opened yet."""
        self._arguments = arguments
        self._form = Form(arguments.layout, arguments.full, method)
        self._lines = lines(arguments.layout, full=arguments.full)
        self._file = arguments.output
        if arguments.output and arguments.parquet:
            from intensity.parquet import journal_of  # noqa: PLC0415 - it needs DuckDB

            self._file = journal_of(arguments.output)

    def check(self) -> None:
        """Raise TargetError if results would be overwritten by accident."""
        if self._arguments.force or self._arguments.resume:
            return
        for file in filter(None, (self._arguments.output, self._file)):
            try:
                new = not _has_content(file)
            except OSError as error:
                raise TargetError(f"cannot write {file}: {error.strerror}") from error
            if not new:
                raise TargetError(f"{file} exists: --resume continues it, --force overwrites it")

    def open(self, plan: Plan, counts: Counts) -> Output:
        """Open it. With --resume, mark its files in `plan` and count its rows in `counts`. Raises TargetError."""
        if self._file is None:
            output = Output(STANDARD_OUTPUT, self._lines, "standard output")
        else:
            output = self._open(self._file, plan, counts)
        output.begin()
        return output

    def _open(self, file: Path, plan: Plan, counts: Counts) -> Output:
        """Open a file. Raises TargetError."""
        try:
            if self._arguments.resume:
                self._unpack(file)
            descriptor = open_file(file, empty=self._arguments.force)
            self._check_again(file)
            if self._arguments.resume and _has_content(file):
                take_up(file, self._form, plan, counts, retry=self._arguments.retry_problems)
                # The path may lead to another file by now.
                os.close(descriptor)
                descriptor = open_file(file, empty=False)
        except ResumeError as error:
            raise TargetError(f"cannot resume {file}: {error}; nothing was changed") from error
        except OutputError as error:
            raise TargetError(str(error)) from error
        except OSError as error:
            raise TargetError(f"cannot write {file}: {error.strerror}") from error
        return Output(descriptor, self._lines, str(file))

    def _check_again(self, file: Path) -> None:
        """Raise TargetError if another run has written results while this one listed. From now on, none does."""
        try:
            self.check()
        except TargetError:
            if not _has_content(file):
                # A journal beside a Parquet file that is new; --resume would begin with it.
                file.unlink()
            raise

    def _unpack(self, journal: Path) -> None:
        """Write the rows of a finished Parquet file into a journal. Raises TargetError."""
        file = self._arguments.output
        if not file or file == journal or _has_content(journal) or not _has_content(file):
            return
        from intensity.parquet import ParquetError, unpack  # noqa: PLC0415 - it needs DuckDB

        try:
            unpack(file, journal, full=self._arguments.full)
        except ParquetError as error:
            raise TargetError(f"cannot resume {file}: {error}") from error

    def finish(self, output: Output, *, complete: bool) -> None:
        """Close `output`. If a Parquet file is wanted and every file has its row, make it. Raises OutputError."""
        output.close()
        if not complete or not self._file or not self._arguments.output or not self._arguments.parquet:
            return
        from intensity.parquet import ParquetError, pack  # noqa: PLC0415 - it needs DuckDB

        try:
            pack(self._file, self._arguments.output, full=self._arguments.full)
        except ParquetError as error:
            raise OutputError(f"{error}; the rows are in {self._file}, and --resume tries again") from error
        self._file.unlink()

    def advice(self) -> str:
        """Return the sentence on how to continue a run that ended early."""
        return f"--resume continues {self._arguments.output}" if self._arguments.output else ""


def _has_content(file: Path) -> bool:
    """Return whether this is a regular file that is not empty."""
    return file.is_file() and file.stat().st_size > 0
