"""The command line of `intensity runs`. Nothing here loads botocore, so that `--help` is there at once."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from image_intensity import Limits
from intensity.cli.arguments import add_options
from intensity.cli.bulk_arguments import add_selection
from intensity.runs.layout import Layout, RunError
from intensity.runs.options import MAX_BYTES, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK = "image-intensity"
ASK_ABOVE_USD = 10.0
EPILOG = """\
Exit codes: 0 every object was measured (or the run goes on), 1 some were not, there were none or the run
failed, 2 wrong usage, 130 ended by Ctrl+C; the run goes on. Manual: docs/runs.md in the project.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="intensity runs",
        description="Measure whole buckets on AWS, with the runs of a deployment of the Image Intensity Service with "
        "Runs=on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_start(_command(commands, "start", "begin a run"))
    _add_run(_command(commands, "status", "say how far a run is"))
    watch = _add_run(_command(commands, "watch", "show the progress of a run until it has ended"))
    _add_progress(watch)
    _add_run(_command(commands, "cancel", "stop a run; what it has measured stays"))
    resume = _add_run(_command(commands, "resume", "measure what a run that has ended has left"))
    resume.add_argument("--max-concurrency", metavar="N", type=_count, help="batches at a time")
    fetch = _add_run(_command(commands, "fetch", "copy the results of a run here, and compare their checksums"))
    fetch.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="where to (a folder with the run's name)")
    fetch.add_argument("--only", choices=("csv", "jsonl", "parquet"), help="only this form of the results")
    fetch.add_argument("--force", action="store_true", help="overwrite files")
    _command(commands, "list", "list the runs of the last 90 days, the newest first")
    given = parser.parse_args(argv)
    if given.command == "start":
        _check_start(parser, given)
    return given


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, says: str
) -> argparse.ArgumentParser:
    """Add a command, with what all of them have."""
    parser = commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.", allow_abbrev=False)
    parser.add_argument(
        "--stack",
        metavar="NAME",
        default=os.environ.get("INTENSITY_STACK", STACK),
        help=f"the stack of the deployment (INTENSITY_STACK, or {STACK})",
    )
    parser.add_argument(
        "--profile", metavar="NAME", help="a profile of the AWS CLI, which also has the region (AWS_PROFILE)"
    )
    return parser


def _add_run(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the run that a command is for."""
    parser.add_argument("run", metavar="RUN", type=_run, help="its name, as start prints it")
    return parser


def _add_progress(parser: argparse.ArgumentParser) -> None:
    """Add how progress is shown."""
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar" if sys.stderr.isatty() else "none",
        help="on standard error: bar (on a terminal), json (a line each second) or none",
    )


def _add_start(parser: argparse.ArgumentParser) -> None:
    """Add what only `start` has."""
    _add_sources(parser.add_argument_group("which objects"))
    _add_measurement(parser.add_argument_group("how they are measured"))
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--name", metavar="RUN", type=_run, help="its name: letters, digits, hyphens (the time of start)"
    )
    group.add_argument("--since", metavar="RUN", type=_run, help="take the rows of this run for what has not changed")
    group.add_argument("--max-concurrency", metavar="N", type=_count, help="batches at a time (as deployed)")
    group.add_argument(
        "--dry-run", action="store_true", help="print objects, bytes, minutes and USD, and start nothing"
    )
    group.add_argument(
        "--ask-above",
        metavar="USD",
        type=float,
        default=ASK_ABOVE_USD,
        help=f"ask before a run that costs more is started ({ASK_ABOVE_USD:g})",
    )
    group.add_argument("--yes", action="store_true", help="do not list and do not ask, but start")
    group.add_argument("--watch", action="store_true", help="show the progress until it has ended")
    _add_progress(parser)


def _add_sources(group: argparse._ArgumentGroup) -> None:
    """Add the options that choose objects, as `intensity bulk` has them."""
    group.add_argument("prefixes", metavar="PREFIX", nargs="*", type=_address, help="s3://BUCKET/ and how keys begin")
    for option, name, noun in (("--from", "lists", "LIST"), ("--inventory", "inventories", "MANIFEST")):
        says = {
            "LIST": "also the objects in LIST, s3://...: .csv or .jsonl, perhaps with .gz",
            "MANIFEST": "also the objects of an S3 Inventory, by the address of its manifest.json",
        }[noun]
        group.add_argument(option, dest=name, metavar=noun, action="append", default=[], type=_address, help=says)
    group.add_argument("--url-encoded", action="store_true", help="keys in LIST are written as in a URL")
    add_selection(group)


def _add_measurement(group: argparse._ArgumentGroup) -> None:
    """Add the options that change numbers and refusals, as the command on folders has them."""
    add_options(group)
    formats, most = Limits().formats, Limits().max_pixels
    group.add_argument("--formats", metavar="LIST", type=_formats, default=formats, help="PNG, JPEG or both")
    group.add_argument("--max-pixels", metavar="N", type=_count, default=most, help=f"refuse larger ones ({most:,})")
    group.add_argument("--max-bytes", metavar="N", type=_count, default=MAX_BYTES, help=f"likewise ({MAX_BYTES:,})")
    group.add_argument(
        "--detail", choices=("full",), default="usual", help="add statistics, histogram and method, as in the API"
    )


def _check_start(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program if the options of `start` contradict each other; put what they say of measuring together."""
    if not (given.prefixes or given.lists or given.inventories):
        parser.error("give s3://BUCKET/PREFIX, --from LIST or --inventory MANIFEST")
    if given.url_encoded and not given.lists:
        parser.error("--url-encoded is for --from LIST")
    try:
        given.options = RunOptions.read({name: getattr(given, name) for name in RunOptions().values()}).values()
    except RunError as error:
        parser.error(str(error))


def _run(text: str) -> str:
    """Read the name of a run."""
    try:
        return Layout(text).run
    except RunError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return int(text)


def _address(text: str) -> str:
    """Read an address in S3."""
    if not text.startswith("s3://"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as s3://bucket/prefix; a run reads only S3")
    return text


def _formats(text: str) -> tuple[str, ...]:
    """Read a list of formats; `RunOptions.read` checks them."""
    asked = {name.strip().upper() for name in text.split(",")}
    return tuple(name for name in RunOptions().formats if name in asked) or tuple(asked)
