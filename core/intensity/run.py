"""One run of `intensity`, from the names to the sums and the exit code."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from image_intensity.slots import cores
from intensity.inputs import InputError
from intensity.output import STANDARD_OUTPUT, Output, OutputError, TargetError
from intensity.plan import Plan
from intensity.progress import progress
from intensity.rows import installed_method
from intensity.stop import Stop, Stopped
from intensity.summary import Counts
from intensity.work import Work, WorkError, Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from intensity.cli.arguments import Arguments
    from intensity.progress import Progress
    from intensity.rows import Row
    from intensity.work import Source

ALL_MEASURED, NOT_ALL_MEASURED, USAGE_ERROR = 0, 1, 2


def run(arguments: Arguments, noun: str, fill: Callable[[Plan, Counts], None], source: Source) -> int:
    """Measure what `fill` plans and `source` reads, write the rows and the sums, and return the exit code.

    fill: puts each into the plan once, with their total into the counts. Raises InputError.
    """
    stop = Stop()
    try:
        with stop.listening():
            return Run(arguments, noun, source, stop).all(fill)
    except Stopped:
        complain(f"stopped before the first {noun} was measured")
        return stop.exit_code
    except BrokenPipeError:
        # `head` has closed the pipe. Without this, Python would print an error at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
        return NOT_ALL_MEASURED
    except (InputError, TargetError) as error:
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

    def __init__(self, arguments: Arguments, noun: str, source: Source, stop: Stop) -> None:
        self._arguments, self._source, self._stop = arguments, source, stop
        self._counts, self._begun = Counts(noun=noun), time.monotonic()
        method = installed_method(arguments.options)
        self._output = Output(arguments, method)
        self._work = Work(
            method=method,
            limits=arguments.limits,
            full=arguments.full,
            max_bytes=arguments.max_bytes,
            noun=noun,
        )

    def all(self, fill: Callable[[Plan, Counts], None]) -> int:
        """Find the files, measure them, write the rows and the sums; return the exit code.

        Raises InputError, TargetError, OutputError, Stopped, BrokenPipeError and sqlite3.Error.
        """
        self._output.check()
        with Plan() as plan:
            fill(plan, self._counts)
            self._output.open(plan, self._counts)
            # From here on, a signal only asks: the loop decides where it stops.
            self._stop.gentle = True
            failure = self._measure(plan)
        failure = self._finish() or failure
        self._report()
        if failure or self._stop.signal:
            advice = f"--resume continues {self._arguments.output}" if self._arguments.output else None
            complain("; ".join(filter(None, [failure or self._stopped_by(), advice])))
        if self._stop.signal:
            return self._stop.exit_code
        return ALL_MEASURED if self._counts.complete and not failure else NOT_ALL_MEASURED

    def _measure(self, plan: Plan) -> str | None:
        """Measure the rest of `plan` and write the rows. Return why that ended early, unless a signal ended it."""
        shown, failure = progress(self._arguments.progress, self._counts), None
        try:
            if self._counts.done < self._counts.total:
                self._measure_with_workers(plan, shown)
        except (OutputError, WorkError) as error:
            failure = str(error)
        shown.show(self._counts, last=True)
        return failure

    def _measure_with_workers(self, plan: Plan, shown: Progress) -> None:
        """Measure until nothing is left or a signal has come. Raises OutputError and WorkError."""
        number = min(self._arguments.processes or cores(), self._counts.total - self._counts.done)
        workers = Workers(number, self._source, self._work, self._arguments.timeout)
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
        if rows:
            with shown.aside() if self._arguments.layout == "table" else nullcontext():
                self._output.write(rows)
        for row in rows:
            self._counts.add(row.path, row.code, row.detail)

    def _finish(self) -> str | None:
        """Close the output, and make the Parquet file if it has all rows. Return the error, if any."""
        try:
            self._output.close(complete=self._counts.done == self._counts.total)
        except OutputError as error:
            return str(error)
        return None

    def _report(self) -> None:
        seconds = time.monotonic() - self._begun
        if self._arguments.progress == "json":
            sys.stderr.write(json.dumps({"summary": self._counts.values(seconds)}) + "\n")
        else:
            sys.stderr.writelines(f"{line}\n" for line in self._counts.lines(seconds))

    def _stopped_by(self) -> str:
        return f"stopped by {signal.Signals(self._stop.signal or 0).name}"
