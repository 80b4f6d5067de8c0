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

from image_intensity.slots import cores
from intensity import names
from intensity.given import STANDARD_OUTPUT
from intensity.inputs import fill
from intensity.output import Output
from intensity.plan import Plan
from intensity.progress import progress
from intensity.rows import installed_method
from intensity.sources.errors import SourceError
from intensity.stop import Stop, Stopped
from intensity.summary import Averages, Counts
from intensity.work import Work
from intensity.workers import WorkError, Workers
from intensity.writing import OutputError, TargetError, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intensity.given import Given
    from intensity.inputs import Input
    from intensity.progress import Progress
    from intensity.rows import Row
    from intensity.work import Source

ALL_MEASURED, NOT_ALL_MEASURED, USAGE_ERROR = 0, 1, 2


def run(given: Given, noun: str, found: Input, source: Source) -> int:
    """Measure what is `found` and `source` reads, write the rows and the sums, and return the exit code."""
    stop = Stop()
    try:
        with stop.listening():
            return Run(given, noun, source, stop).all(found)
    except Stopped:
        complain(f"stopped before the first {noun} was measured")
        return stop.exit_code
    except BrokenPipeError:
        # `head` has closed the pipe. Without this, Python would print an error at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
        return NOT_ALL_MEASURED
    except (SourceError, TargetError) as error:
        complain(str(error))
        return USAGE_ERROR
    except OutputError as error:
        complain(str(error))
        return NOT_ALL_MEASURED
    except sqlite3.Error as error:
        complain(f"cannot keep the list of files in the temporary folder (TMPDIR names it): {error}")
        return NOT_ALL_MEASURED


def complain(sentence: str) -> None:
    sys.stderr.write(f"intensity: {sentence}\n")


class Run:
    """One run: its command line, the counts so far, and whether a signal asked it to stop."""

    def __init__(self, given: Given, noun: str, source: Source, stop: Stop) -> None:
        self._given, self._source, self._stop = given, source, stop
        self._counts, self._averages, self._begun = Counts(noun=noun), Averages(), time.monotonic()
        method, limits = installed_method(given.options), given.limits
        self._output = Output(given, method)
        # At the end, standard output is closed.
        self._in_table = given.layout == "table"
        self._work = Work(method=method, limits=limits, full=given.full, max_bytes=given.max_bytes, noun=noun)

    def all(self, found: Input) -> int:
        """Find the files, measure them, write the rows and the sums; return the exit code.

        Raises SourceError, TargetError, OutputError, Stopped, BrokenPipeError and sqlite3.Error.
        """
        self._output.check()
        with Plan() as plan:
            fill(plan, self._counts, found, self._given.progress)
            if self._given.dry_run:
                return self._tell(plan)
            self._output.open(plan, self._counts)
            # From here on, a signal only asks: the loop decides where it stops.
            self._stop.gentle = True
            failure = self._measure(plan)
        try:
            if self._given.summary:
                say("".join(self._averages.lines(as_json=self._given.format in {"json", "jsonl"})))
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

    def _tell(self, plan: Plan) -> int:
        """Print the names of what would be measured."""
        for each in plan.unsettled():
            say(f"{names.written(each.path)}\n")
        if not self._given.quiet:
            sys.stderr.writelines(f"{line}\n" for line in self._counts.found_lines())
        return ALL_MEASURED if self._counts.total else NOT_ALL_MEASURED

    def _measure(self, plan: Plan) -> str | None:
        """Measure the rest of `plan` and write the rows. Return why that ended early, unless a signal ended it."""
        shown, failure = progress(self._given.progress, self._counts), None
        try:
            if left := self._counts.total - self._counts.done:
                self._measure_with(min(self._given.processes or cores(), left), plan, shown)
        except (OutputError, WorkError) as error:
            failure = str(error)
        shown.show(self._counts, last=True)
        return failure

    def _measure_with(self, processes: int, plan: Plan, shown: Progress) -> None:
        """Measure until nothing is left or a signal has come. Raises OutputError and WorkError."""
        workers = Workers(processes, self._source, self._work, self._given.timeout)
        try:
            with closing(plan.unsettled()) as left:
                for rows in workers.batches(left):
                    self._write(rows, shown)
                    shown.show(self._counts)
                    if self._stop.signal:
                        break
        except WorkError:
            self._write(workers.finished(), shown)
            raise
        else:
            self._write(workers.finished(), shown)
        finally:
            workers.stop()

    def _write(self, rows: list[Row], shown: Progress) -> None:
        """Write rows, then count them, so that only written rows are counted. Raises OutputError."""
        wanted = [row for row in rows if row.code or not self._given.problems_only]
        if wanted:
            with shown.aside() if self._in_table else nullcontext():
                self._output.write(wanted)
        for row in rows:
            self._counts.add(row.path, row.code, row.detail)
            if self._given.summary:
                self._averages.add(row)

    def _report(self, failure: str | None) -> Iterator[str]:
        """Yield what is told at the end."""
        seconds, file = time.monotonic() - self._begun, self._given.output
        if self._given.progress == "json":
            yield json.dumps({"summary": self._counts.values(seconds)})
            return
        width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        yield from self._counts.problem_lines(width, in_table=self._in_table)
        yield from self._counts.lines(seconds)
        if file and self._counts.total and not failure and not self._stop.signal:
            yield f"The rows are in {file}" + ("; code and detail say why." if self._counts.problems else ".")
        elif self._counts.problems and self._in_table and not self._given.problems_only:
            yield "--problems-only shows those without a number, -o FILE.csv keeps the reasons."
