"""The command `intensity jobs`: starts, watches and fetches jobs on AWS. docs/jobs.md is its manual."""

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
from intensity.runs.layout import RESULTS, JobError, Layout, read_part_name
from intensity.runs.request import Request, children, objects
from intensity.runs.service import RUNNING, Service, run_name
from intensity.sources.errors import SourceError
from intensity.summary import Counts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from intensity.runs.layout import Head
    from intensity.runs.service import Run

ALL_MEASURED, NOT_ALL_MEASURED, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 128 + signal.SIGINT
# The longest time between two looks; a job that has just begun is looked at more often.
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
        "list": list_jobs,
    }
    try:
        return commands[given.command](Service.connect(given.stack, given.profile), given)
    except (JobError, SourceError) as error:
        sys.stderr.write(f"intensity: {error}\n")
        return USAGE_ERROR if given.command == "start" and isinstance(error, SourceError) else NOT_ALL_MEASURED
    except KeyboardInterrupt:
        sys.stderr.write("intensity: stopped here; what was started on AWS goes on\n")
        return INTERRUPTED


def start(service: Service, given: argparse.Namespace) -> int:
    """Start a job, and print its name. With --dry-run, print only what it would take."""
    request = request_of(given)
    if given.dry_run or not given.yes:
        dear = tell_estimate(service, request, given.ask_above)
        if given.dry_run:
            return ALL_MEASURED
        if dear and not agreed():
            sys.stderr.write("intensity: nothing was started; --yes starts it without a question\n")
            return USAGE_ERROR
    service.start(request.job, request.values())
    sys.stdout.write(f"{request.job}\n")
    given.job = request.job
    return watch(service, given) if given.watch else ALL_MEASURED


def request_of(given: argparse.Namespace) -> Request:
    """Return what a job is asked for."""
    kind = "url_encoded_list" if given.url_encoded else "list"
    sources = [("prefix", uri) for uri in given.prefixes]
    sources += [(kind, uri) for uri in given.lists] + [("inventory", uri) for uri in given.inventories]
    name = given.name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"
    values = {
        "job": name,
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
    """Print what a job would take, and return whether it costs more than `ask_above`. Raises SourceError."""
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
    """Print how far a job is."""
    run, progressing = latest(service, given.job), Progressing(service, given.job)
    if run.status == RUNNING:
        counts = progressing.counts()
        sys.stdout.write(f"{given.job}: running for {run.seconds:,.0f} seconds, {said(counts)}\n")
        return ALL_MEASURED
    return report(service, given.job, run)


def said(counts: Counts | None) -> str:
    """Return how far a job is, in words."""
    if counts is None:
        return "its objects are being listed"
    return f"{counts.done:,} of {counts.total:,} objects, {counts.problems:,} with a problem"


def watch(service: Service, given: argparse.Namespace) -> int:
    """Show the progress of a job until it has ended, then its sums."""
    progressing, shown, counts = Progressing(service, given.job), None, None
    while True:
        run = latest(service, given.job)
        counts = progressing.counts()
        if counts:
            shown = shown or progress(given.progress, counts)
            shown.show(counts, last=run.status != RUNNING)
        if run.status != RUNNING:
            return report(service, given.job, run)
        time.sleep(min(WATCH_SECONDS, 1 + run.seconds / 20))


class Progressing:
    """How far a job is: the sums of the heads of its parts. Each part is read once."""

    def __init__(self, service: Service, job: str) -> None:
        """Nothing is read yet."""
        self._service, self._job = service, job
        self._description: dict[str, Any] | None = None
        self._known: set[str] = set()
        # By batch and by object of it; None for the part of the whole batch.
        self._heads: defaultdict[int, dict[int | None, Head]] = defaultdict(dict)
        self._counts = Counts(noun="object")

    def counts(self) -> Counts | None:
        """Return the counts so far; None while the objects are still being listed."""
        self._description = self._description or self._service.description(self._job)
        if self._description is None:
            return None
        for key, head in self._service.heads(self._job, self._description["method"], self._known):
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
    """Stop a job."""
    run = latest(service, given.job)
    if run.status != RUNNING:
        raise JobError(f"{given.job} has ended: {run.status.lower()}")
    service.stop(run_name(given.job, run.number))
    sys.stdout.write(f"{given.job} is stopped; intensity jobs resume {given.job} measures what is left\n")
    return ALL_MEASURED


def resume(service: Service, given: argparse.Namespace) -> int:
    """Start an execution for what has no part yet."""
    runs = service.runs(given.job)
    if runs and runs[-1].status == RUNNING:
        raise JobError(f"{given.job} is running")
    if service.description(given.job) is None:
        raise JobError(f"there is no job {given.job} whose objects were listed; start it")
    request = Request(job=given.job, resume=True, max_concurrency=given.max_concurrency)
    # After 90 days, Step Functions knows no execution of it, and its names are free again.
    name = run_name(given.job, len(runs) + 1)
    service.start(name, request.values())
    sys.stdout.write(f"{given.job}\n")
    return ALL_MEASURED


def fetch(service: Service, given: argparse.Namespace) -> int:
    """Copy the results here. A file has its name only once its checksum is right."""
    summary = service.summary(given.job)
    if summary is None:
        raise JobError(f"{given.job} has no results; intensity jobs status {given.job} says how far it is")
    folder = given.output or Path(given.job)
    wanted = [name for name in RESULTS if given.only in {None, Path(name).suffix[1:]}]
    there = [name for name in wanted if (folder / name).exists()]
    if there and not given.force:
        raise JobError(f"{folder / there[0]} exists: --force overwrites it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            fetch_file(service, Layout(given.job).result(name), folder / name, summary["files"][name])
            sys.stdout.write(f"{folder / name}\n")
    except OSError as error:
        raise JobError(f"cannot write to {folder}: {error.strerror}") from error
    tell(summary, 0.0)
    return exit_code(summary)


def fetch_file(service: Service, key: str, file: Path, told: Mapping[str, Any]) -> None:
    """Copy one file and compare its checksum. Raises JobError and OSError."""
    part = file.with_name(f"{file.name}.partial")
    service.copy(key, part)
    with part.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != told["sha256"]:
        part.unlink()
        raise JobError(f"{key} is not what the job wrote: its SHA-256 is another one; fetch it again")
    part.replace(file)


def list_jobs(service: Service, _: argparse.Namespace) -> int:
    """Print the jobs, the newest first."""
    for name, state, started in service.executions():
        sys.stdout.write(f"{started.astimezone(UTC):%Y-%m-%d %H:%M}Z  {state.lower():<9}  {name}\n")
    return ALL_MEASURED


def latest(service: Service, job: str) -> Run:
    """Return the last execution of a job. Raises JobError if there is none."""
    runs = service.runs(job)
    if not runs:
        raise JobError(f"Step Functions knows no job {job}; intensity jobs list shows those of the last 90 days")
    return runs[-1]


def report(service: Service, job: str, run: Run) -> int:
    """Print how a job has ended, and return the exit code for that."""
    if run.status != SUCCEEDED:
        sys.stderr.write(f"{job}: {run.status.lower()} after {run.seconds:,.0f} seconds. {run.error}\n")
        return NOT_ALL_MEASURED
    summary = service.summary(job)
    if summary is None:
        raise JobError(f"{job} has succeeded, and its results are no longer there")
    tell(summary, run.seconds)
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
