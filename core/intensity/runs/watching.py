"""How far a run is, and how it has ended."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from intensity.progress import Progress
from intensity.runs.layout import RunError, read_part_name
from intensity.runs.service import RUNNING
from intensity.summary import Counts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from intensity.runs.layout import Head
    from intensity.runs.service import Execution, Service

ALL_MEASURED, NOT_ALL_MEASURED = 0, 1
# The longest time between two looks; a run that has just begun is looked at more often.
WATCH_SECONDS = 5.0
SUCCEEDED = "SUCCEEDED"


def status(service: Service, given: argparse.Namespace) -> int:
    execution = latest(service, given.run)
    if execution.status != RUNNING:
        return report(service, given.run, execution)
    counts, far = Watched(service, given.run).counts(), "its objects are being listed"
    if counts:
        far = f"{counts.done:,} of {counts.total:,} objects, {counts.problems:,} with a problem"
    sys.stdout.write(f"{given.run}: running for {execution.seconds:,.0f} seconds, {far}\n")
    return ALL_MEASURED


def watch(service: Service, given: argparse.Namespace) -> int:
    """Show the progress of a run until it has ended, then its sums."""
    watched, shown = Watched(service, given.run), None
    while True:
        execution = latest(service, given.run)
        if counts := watched.counts():
            shown = shown or Progress(given.progress, counts)
            shown.show(counts, last=execution.status != RUNNING)
        if execution.status != RUNNING:
            return report(service, given.run, execution)
        time.sleep(min(WATCH_SECONDS, 1 + execution.seconds / 20))


class Watched:
    """The sums of the heads of a run's parts. Each part is read once."""

    def __init__(self, service: Service, run: str) -> None:
        self._service, self._run = service, run
        self._description: dict[str, Any] | None = None
        self._heads: dict[str, Head] = {}
        self._counts = Counts(noun="object")

    def counts(self) -> Counts | None:
        """Return the counts so far; None while the objects are still being listed."""
        self._description = self._description or self._service.description(self._run)
        if self._description is None:
            return None
        self._heads |= self._service.heads(self._run, self._description["method"], self._heads)
        heads = {read_part_name(key): head for key, head in self._heads.items()}
        counts = self._counts
        counts.total, counts.measured = self._description["listed"], 0
        counts.codes.clear()
        for (batch, index), head in heads.items():
            # A batch whose answer was lost has a part, and then one for each of its objects, too.
            if index is None or (batch, None) not in heads:
                counts.codes.update(head.codes)
                counts.measured += head.rows - sum(head.codes.values())
        return counts


def latest(service: Service, run: str) -> Execution:
    """Return the last execution of a run. Raises RunError if there is none."""
    executions = service.executions(run)
    if not executions:
        raise RunError(f"Step Functions knows no run {run}; intensity runs list shows those of the last 90 days")
    return executions[-1]


def report(service: Service, run: str, execution: Execution) -> int:
    """Print how a run has ended, and return the exit code for that."""
    if execution.status != SUCCEEDED:
        ended = f"{execution.status.lower()} after {execution.seconds:,.0f} seconds"
        sys.stderr.write(f"{run}: {ended}. {execution.error}\n")
        return NOT_ALL_MEASURED
    summary = service.summary(run)
    if summary is None:
        raise RunError(f"{run} has succeeded, and its results are no longer there")
    return tell(summary, execution.seconds)


def tell(summary: Mapping[str, Any], seconds: float) -> int:
    """Print the sums as the command on folders does, and the cost. Return the exit code."""
    counts = Counts(
        noun="object",
        total=summary["total"],
        measured=summary["measured"],
        before=summary["reused"],
        codes=Counter(summary["problems"]),
        skipped=Counter(summary["not_taken"]),
    )
    sys.stderr.writelines(f"{line}\n" for line in counts.lines(seconds))
    sys.stderr.write(f"Estimated cost: {summary['usd']:,.2f} USD.\n")
    return ALL_MEASURED if counts.complete else NOT_ALL_MEASURED
