"""The command `intensity runs`: starts, watches and fetches runs on AWS. docs/runs.md is its manual."""

from __future__ import annotations

import hashlib
import secrets
import signal
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intensity.progress import progress
from intensity.runs.arguments import options_of
from intensity.runs.estimate import estimate
from intensity.runs.layout import RESULTS, Layout, RunError, read_part_name
from intensity.runs.request import Request, children, objects
from intensity.runs.service import RUNNING, Service, execution_name
from intensity.sources.errors import SourceError
from intensity.summary import Counts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from intensity.runs.layout import Head
    from intensity.runs.service import Execution

ALL_MEASURED, NOT_ALL_MEASURED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
# The longest time between two looks; a run that has just begun is looked at more often.
WATCH_SECONDS = 5.0
SUCCEEDED = "SUCCEEDED"


def run(given: argparse.Namespace) -> int:
    """Run a command and return its exit code."""
    commands = {
        "start": start,
        "status": status,
        "watch": watch,
        "cancel": cancel,
        "resume": resume,
        "fetch": fetch,
        "list": list_runs,
    }
    try:
        return commands[given.command](Service.connect(given.stack, given.profile), given)
    except (RunError, SourceError) as error:
        sys.stderr.write(f"intensity: {error}\n")
        return USAGE_ERROR if given.command == "start" and isinstance(error, SourceError) else NOT_ALL_MEASURED
    except KeyboardInterrupt:
        sys.stderr.write("intensity: stopped here; what was started on AWS goes on\n")
        return INTERRUPTED


def start(service: Service, given: argparse.Namespace) -> int:
    """Start a run, and print its name. With --dry-run, print only what it would take."""
    request = request_of(given)
    if given.dry_run or not given.yes:
        dear = tell_estimate(service, request, given.ask_above)
        if given.dry_run:
            return ALL_MEASURED
        if dear and not agreed():
            sys.stderr.write("intensity: nothing was started; --yes starts it without a question\n")
            return USAGE_ERROR
    service.start(request.run, request.values())
    sys.stdout.write(f"{request.run}\n")
    given.run = request.run
    return watch(service, given) if given.watch else ALL_MEASURED


def request_of(given: argparse.Namespace) -> Request:
    """Return what a run is asked for."""
    kind = "url_encoded_list" if given.url_encoded else "list"
    sources = [("prefix", uri) for uri in given.prefixes]
    sources += [(kind, uri) for uri in given.lists] + [("inventory", uri) for uri in given.inventories]
    name = given.name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"
    values = {
        "run": name,
        "sources": sources,
        "include": given.include,
        "exclude": given.exclude,
        "hidden": given.hidden,
        "all_versions": given.all_versions,
        "since": given.since,
        "max_concurrency": given.max_concurrency,
    }
    return Request.read({**values, "options": asdict(options_of(given))})


def tell_estimate(service: Service, request: Request, ask_above: float) -> bool:
    """Print what a run would take, and return whether it costs more than `ask_above`. Raises SourceError."""
    number = size = 0
    for listed in objects(service.s3, request, Counter()):
        number, size = number + 1, size + (listed.size or 0)
        # Otherwise, some of them may be the same; Plan knows.
        if request.names_once:
            request.check_number(number)
    guess = estimate(number, size, children(request.max_concurrency, service.reserved))
    found, batches = "object" if number == 1 else "objects", "batch" if guess.batches == 1 else "batches"
    sys.stderr.write(
        f"{number:,} {found}, {size / 1e9:,.2f} GB: about {guess.minutes:,.1f} minutes and {guess.usd:,.2f} USD "
        f"({guess.batches:,} {batches}).\n"
    )
    return guess.usd > ask_above


def agreed() -> bool:
    """Ask the person at the terminal; without one, the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Start it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def status(service: Service, given: argparse.Namespace) -> int:
    """Print how far a run is."""
    execution, progressing = latest(service, given.run), Progressing(service, given.run)
    if execution.status == RUNNING:
        counts = progressing.counts()
        sys.stdout.write(f"{given.run}: running for {execution.seconds:,.0f} seconds, {said(counts)}\n")
        return ALL_MEASURED
    return report(service, given.run, execution)


def said(counts: Counts | None) -> str:
    """Return how far a run is, in words."""
    if counts is None:
        return "its objects are being listed"
    return f"{counts.done:,} of {counts.total:,} objects, {counts.problems:,} with a problem"


def watch(service: Service, given: argparse.Namespace) -> int:
    """Show the progress of a run until it has ended, then its sums."""
    progressing, shown, counts = Progressing(service, given.run), None, None
    while True:
        execution = latest(service, given.run)
        counts = progressing.counts()
        if counts:
            shown = shown or progress(given.progress, counts)
            shown.show(counts, last=execution.status != RUNNING)
        if execution.status != RUNNING:
            return report(service, given.run, execution)
        time.sleep(min(WATCH_SECONDS, 1 + execution.seconds / 20))


class Progressing:
    """How far a run is: the sums of the heads of its parts. Each part is read once."""

    def __init__(self, service: Service, run: str) -> None:
        """Nothing is read yet."""
        self._service, self._run = service, run
        self._description: dict[str, Any] | None = None
        self._known: set[str] = set()
        # By batch and by object of it; None for the part of the whole batch.
        self._heads: defaultdict[int, dict[int | None, Head]] = defaultdict(dict)
        self._counts = Counts(noun="object")

    def counts(self) -> Counts | None:
        """Return the counts so far; None while the objects are still being listed."""
        self._description = self._description or self._service.description(self._run)
        if self._description is None:
            return None
        for key, head in self._service.heads(self._run, self._description["method"], self._known):
            batch, index = read_part_name(key)
            self._heads[batch][index] = head
        counts = self._counts
        counts.total, counts.measured = self._description["listed"], 0
        counts.codes.clear()
        for parts in self._heads.values():
            # A batch whose answer was lost has a part, and then one for each of its objects, too.
            for head in [parts[None]] if None in parts else parts.values():
                counts.codes.update(head.codes)
                counts.measured += head.rows - sum(head.codes.values())
        return counts


def cancel(service: Service, given: argparse.Namespace) -> int:
    """Stop a run."""
    execution = latest(service, given.run)
    if execution.status != RUNNING:
        raise RunError(f"{given.run} has ended: {execution.status.lower()}")
    service.stop(execution_name(given.run, execution.number))
    sys.stdout.write(f"{given.run} is stopped; intensity runs resume {given.run} measures what is left\n")
    return ALL_MEASURED


def resume(service: Service, given: argparse.Namespace) -> int:
    """Start an execution for what has no part yet."""
    executions = service.executions(given.run)
    if executions and executions[-1].status == RUNNING:
        raise RunError(f"{given.run} is running")
    if service.description(given.run) is None:
        raise RunError(f"there is no run {given.run} whose objects were listed; start it")
    request = Request(run=given.run, resume=True, max_concurrency=given.max_concurrency)
    # After 90 days, Step Functions knows no execution of it, and its names are free again.
    name = execution_name(given.run, len(executions) + 1)
    service.start(name, request.values())
    sys.stdout.write(f"{given.run}\n")
    return ALL_MEASURED


def fetch(service: Service, given: argparse.Namespace) -> int:
    """Copy the results here. A file has its name only once its checksum is right."""
    summary = service.summary(given.run)
    if summary is None:
        raise RunError(f"{given.run} has no results; intensity runs status {given.run} says how far it is")
    folder = given.output or Path(given.run)
    wanted = [name for name in RESULTS if given.only in {None, Path(name).suffix[1:]}]
    there = [name for name in wanted if (folder / name).exists()]
    if there and not given.force:
        raise RunError(f"{folder / there[0]} exists: --force overwrites it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            fetch_file(service, Layout(given.run).result(name), folder / name, summary["files"][name])
            sys.stdout.write(f"{folder / name}\n")
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
    tell(summary, 0.0)
    return exit_code(summary)


def fetch_file(service: Service, key: str, file: Path, told: Mapping[str, Any]) -> None:
    """Copy one file and compare its checksum. Raises RunError and OSError."""
    part = file.with_name(f"{file.name}.partial")
    service.copy(key, part)
    with part.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != told["sha256"]:
        part.unlink()
        raise RunError(f"{key} is not what the run wrote: its SHA-256 is another one; fetch it again")
    part.replace(file)


def list_runs(service: Service, _: argparse.Namespace) -> int:
    """Print the runs, the newest first."""
    for name, state, started in service.history():
        sys.stdout.write(f"{started.astimezone(UTC):%Y-%m-%d %H:%M}Z  {state.lower():<9}  {name}\n")
    return ALL_MEASURED


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
    tell(summary, execution.seconds)
    return exit_code(summary)


def tell(summary: Mapping[str, Any], seconds: float) -> None:
    """Print the sums as the command on folders does, and the cost."""
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


def exit_code(summary: Mapping[str, Any]) -> int:
    """Return 0 if there were objects and all were measured."""
    return ALL_MEASURED if 0 < summary["total"] == summary["measured"] else NOT_ALL_MEASURED
