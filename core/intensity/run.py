"""One run of `intensity`, from the names to the sums and the exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from tqdm import tqdm

from image_intensity.slots import cores
from intensity import names
from intensity.inputs import fill
from intensity.output import Output
from intensity.plan import Plan
from intensity.progress import Progress
from intensity.rows import installed_method
from intensity.sources.errors import SourceError
from intensity.stop import Stop, Stopped
from intensity.summary import Averages, Counts
from intensity.work import Work
from intensity.workers import Workers
from intensity.writing import STANDARD_OUTPUT, OutputError, TargetError, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intensity.given import Given
    from intensity.inputs import Input
    from intensity.rows import Row
    from intensity.work import Source

ALL_MEASURED, NOT_ALL_MEASURED, USAGE_ERROR = 0, 1, 2


def run(given: Given, noun: str, found: Input, source: Source) -> int:
    """Measure what is `found` and `source` reads, write the rows and the sums, and return the exit code."""
    stop = Stop()
    try:
        with stop.listening(), Plan() as plan:
            return Run(given, noun, plan, stop).all(found, source)
    except Stopped:
        complain(f"stopped before the first {noun} was measured")
        return stop.exit_code
    except BrokenPipeError:
        # `head` has closed the pipe. Without this, Python would print an error at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
        return NOT_ALL_MEASURED
    except (SourceError, TargetError, OutputError) as error:
        complain(str(error))
        return NOT_ALL_MEASURED if isinstance(error, OutputError) else USAGE_ERROR
    except sqlite3.Error as error:
        complain(f"cannot keep the list of files in the temporary folder (TMPDIR names it): {error}")
        return NOT_ALL_MEASURED


def complain(sentence: str) -> None:
    sys.stderr.write(f"intensity: {sentence}\n")


class Run:
    """One run: its command line, the counts so far, and whether a signal asked it to stop."""

    def __init__(self, given: Given, noun: str, plan: Plan, stop: Stop) -> None:
        self._given, self._plan, self._stop, self._begun = given, plan, stop, time.monotonic()
        self._counts, self._averages = Counts(noun=noun), Averages()
        self._method = installed_method(given.options)
        self._output = Output(given, self._method)
        # At the end, standard output is closed.
        self._in_table = given.layout == "table"

    def all(self, found: Input, source: Source) -> int:
        """Find the files, measure them, write the rows and the sums; return the exit code.

        Raises SourceError, TargetError, OutputError, Stopped, BrokenPipeError and sqlite3.Error.
        """
        self._output.check()
        fill(self._plan, self._counts, found, self._given.progress)
        if self._given.dry_run:
            return self._tell()
        self._output.open(self._plan, self._counts)
        # From here on, a signal only asks: the loop decides where it stops.
        self._stop.gentle, failure = True, ""
        try:
            try:
                self._measure(source)
            except SourceError as error:
                failure = str(error)
            if self._given.summary:
                write("".join(self._averages.lines(as_json=self._given.format in {"json", "jsonl"})))
            self._output.close(complete=self._counts.done == self._counts.total)
        except OutputError as error:
            failure = failure or str(error)
        if not self._given.quiet:
            sys.stderr.writelines(f"{line}\n" for line in self._report(failure))
        if self._stop.signal:
            failure = failure or f"stopped by {signal.Signals(self._stop.signal).name}"
        if failure:
            complain(failure + (f"; --resume continues {self._given.output}" if self._given.resumable else ""))
        if self._stop.signal:
            return self._stop.exit_code
        return ALL_MEASURED if self._counts.complete and not failure else NOT_ALL_MEASURED

    def _tell(self) -> int:
        """Print the names of what would be measured."""
        for each in self._plan.unsettled():
            write(f"{names.written(each.path)}\n")
        if not self._given.quiet:
            sys.stderr.writelines(f"{line}\n" for line in self._counts.found_lines())
        return ALL_MEASURED if self._counts.total else NOT_ALL_MEASURED

    def _measure(self, source: Source) -> None:
        """Measure what has no row until nothing is left or a signal has come. Raises OutputError and SourceError."""
        given, counts = self._given, self._counts
        work = Work(
            method=self._method, limits=given.limits, full=given.full, max_bytes=given.max_bytes, noun=counts.noun
        )
        shown = Progress(given.progress, counts)
        processes = min(given.processes or cores(), counts.total - counts.done)
        workers = Workers(processes, source, work, given.timeout)
        try:
            with closing(self._plan.unsettled()) as left:
                for rows in workers.batches(left):
                    self._write(rows)
                    shown.show(counts)
                    if self._stop.signal:
                        break
            self._write(workers.finished())
        except SourceError:
            self._write(workers.finished())
            raise
        finally:
            workers.stop()
            shown.show(counts, last=True)

    def _write(self, rows: list[Row]) -> None:
        """Write rows, then count them, so that only written rows are counted. Raises OutputError."""
        wanted = [row for row in rows if row["code"] or not self._given.problems_only]
        if wanted:
            # It clears the line of the bar while lines are written.
            with tqdm.external_write_mode() if self._in_table else nullcontext():
                self._output.write(wanted)
        for row in rows:
            self._counts.add(row["path"], row["code"], row["detail"])
            self._averages.add(row["average_intensity"], row["path"])

    def _report(self, failure: str) -> Iterator[str]:
        """Yield what is told at the end."""
        seconds, file, counts = time.monotonic() - self._begun, self._given.output, self._counts
        if self._given.progress == "json":
            yield json.dumps({"summary": counts.values(seconds)})
            return
        width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        yield from counts.problem_lines(width, in_table=self._in_table)
        yield from counts.lines(seconds)
        if file and counts.total and not failure and not self._stop.signal:
            yield f"The rows are in {file}" + ("; code and detail say why." if counts.problems else ".")
        elif counts.problems and self._in_table and not self._given.problems_only:
            yield "--problems-only shows those without a number, -o FILE.csv keeps the reasons."
