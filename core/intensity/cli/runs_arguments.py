"""The command line of `intensity runs`. Nothing here loads botocore, so that `--help` is there at once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from intensity.cli import options
from intensity.cli.parser import Parser
from intensity.runs.layout import Layout, RunError
from intensity.runs.options import MAX_BYTES, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK = "image-intensity"
ASK_ABOVE_USD = 10.0
DESCRIPTION = """\
Measure whole buckets on AWS, with a deployment of the Image Intensity Service
that has Runs=on. `intensity runs start --help` shows the options of a command."""
EPILOG = """\
exit codes: 0 each object was measured (or the run goes on), 1 some were not,
  there were none or the run failed, 2 wrong usage, 130 ended by Ctrl+C; the
  run goes on
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = Parser(prog="intensity runs", description=DESCRIPTION, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, says: str, *what: Parser) -> Parser:
        description = f"{says[0].upper()}{says[1:]}."
        return commands.add_parser(name, help=says, description=description, parents=[*what, deployment])

    # What several of them have.
    deployment, run, progress, concurrency = (Parser(add_help=False) for _ in range(4))
    stack_help = f"the stack of the deployment (INTENSITY_STACK, or {STACK})"
    stack = os.environ.get("INTENSITY_STACK", STACK)
    deployment.add_argument("--stack", metavar="NAME", default=stack, help=stack_help)
    profile_help = "a profile of the AWS CLI, which also has the region (AWS_PROFILE)"
    deployment.add_argument("--profile", metavar="NAME", help=profile_help)
    run.add_argument("run", metavar="RUN", type=_run, help="its name, as start prints it")
    options.add_progress(progress.add_argument)
    most_help = "batches at a time (as deployed)"
    concurrency.add_argument("--max-concurrency", metavar="N", type=options.number(int), help=most_help)

    _add_start(add("start", "begin a run", progress, concurrency))
    add("status", "say how far a run is", run)
    add("watch", "show the progress of a run until it has ended", run, progress)
    add("cancel", "stop a run; what it has measured stays", run)
    add("resume", "measure what a run that has ended has left", run, concurrency)
    fetch = add("fetch", "copy the results of a run here, and compare their checksums", run)
    fetch.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where to (a folder with the run's name)")
    fetch.add_argument("--only", choices=("csv", "jsonl", "parquet"), help="only this form of the results")
    fetch.add_argument("--force", action="store_true", help="overwrite files")
    add("list", "list the runs of the last 90 days, the newest first")
    parser.complete()
    given = parser.parse_args(argv)
    if given.command == "start":
        options.check_objects(parser, given)
        told = {name: value for name in RunOptions().values() if (value := getattr(given, name)) is not None}
        try:
            given.options = RunOptions.read(told).values()
        except RunError as error:
            parser.error(str(error))
    return given


def _add_start(parser: argparse.ArgumentParser) -> None:
    """Add what only `start` has."""
    options.add_objects(parser.add_argument_group("which objects").add_argument, only_s3=True)
    measuring = parser.add_argument_group("how they are measured").add_argument
    options.add_measurement(measuring, MAX_BYTES)
    options.add_detail(measuring)
    add = parser.add_argument_group("the run").add_argument
    add("--name", metavar="RUN", type=_run, help="its name: letters, digits, hyphens (the time of start)")
    add("--since", metavar="RUN", type=_run, help="take the rows of this run for what has not changed")
    add("--dry-run", action="store_true", help="print objects, bytes, minutes and USD, and start nothing")
    ask_help = f"ask before a run that costs more is started ({ASK_ABOVE_USD:g})"
    add("--ask-above", metavar="USD", type=float, default=ASK_ABOVE_USD, help=ask_help)
    add("--yes", action="store_true", help="do not list and do not ask, but start")
    add("--watch", action="store_true", help="show the progress until it has ended")


def _run(text: str) -> str:
    """Read the name of a run."""
    try:
        return Layout(text).run
    except RunError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
