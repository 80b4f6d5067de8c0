"""The command `intensity runs`: starts, cancels, resumes and fetches runs on AWS. docs/runs.md is its manual."""

from __future__ import annotations

import hashlib
import secrets
import signal
import sqlite3
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from intensity.runs.estimate import estimate
from intensity.runs.layout import RESULTS, Layout, RunError
from intensity.runs.request import Request, children, objects
from intensity.runs.service import RUNNING, Service, execution_name
from intensity.runs.watching import ALL_MEASURED, NOT_ALL_MEASURED, latest, status, tell, watch
from intensity.sources import listing
from intensity.sources.errors import SourceError, told

if TYPE_CHECKING:
    import argparse

USAGE_ERROR, INTERRUPTED = 2, 128 + signal.SIGINT


def run(given: argparse.Namespace) -> int:
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
    except (BotoCoreError, ClientError, sqlite3.Error) as error:
        sys.stderr.write(f"intensity: runs {given.command} failed: {told(error)}\n")
        return NOT_ALL_MEASURED
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
    name = given.name or f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"
    sources = listing.sources(given.prefixes, given.lists, given.inventories, url_encoded=given.url_encoded)
    same = ("include", "exclude", "hidden", "all_versions", "options", "since", "max_concurrency")
    return Request.read({"run": name, "sources": sources, **{field: getattr(given, field) for field in same}})


def tell_estimate(service: Service, request: Request, ask_above: float) -> bool:
    """Print what a run would take, and return whether it costs more than `ask_above`. Raises SourceError."""
    number = size = 0
    for listed in objects(service.s3, request, Counter()):
        number += 1
        size += listed.size or 0
    guess = estimate(number, size, children(request.max_concurrency, service.reserved), request.options.formats)
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


def cancel(service: Service, given: argparse.Namespace) -> int:
    execution = latest(service, given.run)
    if execution.status != RUNNING:
        raise RunError(f"{given.run} has ended: {execution.status.lower()}")
    service.stop(execution_name(given.run, execution.number))
    sys.stdout.write(f"{given.run} is stopped; intensity runs resume {given.run} measures what is left\n")
    return ALL_MEASURED


def resume(service: Service, given: argparse.Namespace) -> int:
    """Start an execution for what has no sound row yet."""
    executions = service.executions(given.run)
    if executions and executions[-1].status == RUNNING:
        raise RunError(f"{given.run} is running")
    if service.description(given.run) is None:
        raise RunError(f"there is no run {given.run} whose objects were listed; start it")
    request = Request(run=given.run, resume=True, max_concurrency=given.max_concurrency)
    # After 90 days, Step Functions knows no execution of it, and its names are free again.
    service.start(execution_name(given.run, len(executions) + 1), request.values())
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
            fetch_file(service, Layout(given.run).result(name), folder / name, summary["files"][name]["sha256"])
            sys.stdout.write(f"{folder / name}\n")
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
    return tell(summary, 0.0)


def fetch_file(service: Service, key: str, file: Path, expected: str) -> None:
    """Copy one file and compare its checksum. Raises RunError and OSError."""
    part, digest = file.with_name(f"{file.name}.partial"), hashlib.sha256()
    with part.open("wb") as opened:
        for piece in service.s3.get_object(Bucket=service.bucket, Key=key)["Body"].iter_chunks(1 << 20):
            opened.write(piece)
            digest.update(piece)
    if digest.hexdigest() != expected:
        part.unlink()
        raise RunError(f"{key} is not what the run wrote: its SHA-256 is another one; fetch it again")
    part.replace(file)


def list_runs(service: Service, _: argparse.Namespace) -> int:
    for page in service.states.get_paginator("list_executions").paginate(stateMachineArn=service.state_machine):
        for each in page["executions"]:
            began = each["startDate"].astimezone(UTC)
            sys.stdout.write(f"{began:%Y-%m-%d %H:%M}Z  {each['status'].lower():<9}  {each['name']}\n")
    return ALL_MEASURED
