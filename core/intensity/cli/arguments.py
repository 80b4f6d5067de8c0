"""The command lines of `intensity` and `intensity bulk`. Like `options`, this loads little."""

from __future__ import annotations

import argparse
import os
import textwrap
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from image_intensity import OPTIONS, Limits, Options, __version__
from intensity.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intensity.lines import Layout
    from intensity.progress import Kind

# Decoding takes this many bytes for a pixel at the default limits, 1.45 GB for 200 million pixels.
DECODED_BYTES_PER_PIXEL = 7.25
WIDTH = 100
EPILOG = """\
Without -o, the results are a table on a terminal and tab-separated lines in a pipe.
Exit codes: 0 every {noun} was measured, 1 some were not or there were none, 2 wrong
usage, 130 ended by Ctrl+C, 143 by SIGTERM. Manual: docs/command.md in the project.
"""
# Commands of their own come first. A file or folder of that name is written as ./bulk.
COMMANDS = {
    "bulk": "the command is `intensity bulk OPTION... s3://...`",
    "runs": "the command is `intensity runs start s3://...`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What both take. layout: the form of the lines on standard output, or in `output` unless that is Parquet."""

    options: Options
    limits: Limits
    max_bytes: int
    full: bool
    output: Path | None
    layout: Layout
    resume: bool
    retry_problems: bool
    force: bool
    processes: int | None
    timeout: float
    progress: Kind

    @property
    def parquet(self) -> bool:
        return self.output is not None and self.output.suffix.lower() == ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderArguments(Arguments):
    paths: tuple[bytes, ...]
    name_list: str | None
    separator: bytes
    hidden: bool
    follow_links: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkArguments(Arguments):
    prefixes: tuple[str, ...]
    lists: tuple[str, ...]
    url_encoded: bool
    inventories: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    hidden: bool
    all_versions: bool
    endpoint_url: str | None
    profile: str | None
    anonymous: bool


AnyArguments = TypeVar("AnyArguments", bound=Arguments)


def folders(argv: Sequence[str]) -> FolderArguments:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = _parser(
        "intensity",
        "PATH...",
        "Measure the average grayscale intensity of PNGs and JPEGs: 0 is black, 255 is white. Every file that is named "
        "or found has one row in the results: its number, or why there is none.",
        "file",
    )
    options.add_files(parser.add_argument_group("which files").add_argument)
    given, rest = _read(parser, argv)
    first = given.paths[0] if given.paths else ""
    given.paths += rest.paths
    lists = [name for name in given.paths if name == "-"] + [given.name_list] * (given.name_list is not None)
    _refuse(
        parser,
        {
            "name a file, a folder, - or --from FILE": not given.paths and not lists,
            "- and --from are two lists of names; give one": "-" in given.paths and given.name_list is not None,
            "--null needs a list of names: - or --from FILE": given.null and not lists,
            f"{first}: {COMMANDS.get(first)}; a file or folder of that name is ./{first}": first in COMMANDS,
            f"{first}: objects of buckets are measured by `intensity bulk`": first.startswith("s3://"),
        },
    )
    given.paths = [os.fsencode(path) for path in given.paths if path != "-"]
    given.name_list = lists[0] if lists else None
    given.separator = b"\0" if given.null else b"\n"
    return _arguments(parser, given, FolderArguments)


def buckets(argv: Sequence[str]) -> BulkArguments:
    """Likewise for `intensity bulk`."""
    parser = _parser(
        "intensity bulk",
        "s3://BUCKET/PREFIX...",
        "Measure the average grayscale intensity of PNGs and JPEGs in buckets of S3 or of a store like it. Every "
        "object that is listed has one row in the results: its number, or why there is none.",
        "object",
    )
    options.add_objects(parser.add_argument_group("which objects").add_argument)
    options.add_store(parser.add_argument_group("the store").add_argument)
    given, rest = _read(parser, argv)
    given.prefixes += rest.prefixes
    options.check_objects(parser, given)
    _refuse(parser, {"--profile and --no-sign-request contradict each other": given.anonymous and given.profile})
    return _arguments(parser, given, BulkArguments)


def _parser(prog: str, operands: str, description: str, noun: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [OPTION]... {operands}",
        description=textwrap.fill(description, WIDTH),
        epilog=EPILOG.format(noun=noun),
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=26, width=WIDTH),
        allow_abbrev=False,
    )


def _read(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[argparse.Namespace, argparse.Namespace]:
    """Add what both take, and read the command line up to `--`, and the operands behind it."""
    parser.add_argument("--version", action="version", version=f"intensity {__version__}")
    options.add_measurement(parser.add_argument_group("how they are measured").add_argument)
    options.add_results(parser.add_argument_group("results").add_argument)
    options.add_run(parser.add_argument_group("the run").add_argument)
    end = argv.index("--") if "--" in argv else len(argv)
    # Only `parse_intermixed_args` takes operands between options, and only `parse_args` knows `--`.
    return parser.parse_intermixed_args(argv[:end]), parser.parse_args(argv[end:])


def _refuse(parser: argparse.ArgumentParser, wrong: dict[str, object]) -> None:
    """End the program with the first sentence that applies."""
    for sentence, applies in wrong.items():
        if applies:
            parser.error(sentence)


def _arguments(parser: argparse.ArgumentParser, given: argparse.Namespace, kind: type[AnyArguments]) -> AnyArguments:
    """Check what both take, and return the arguments."""
    given.full, given.layout = given.detail == "full", _layout(given)
    continues = given.resume or given.retry_problems
    _refuse(
        parser,
        {
            "--format is for standard output; the end of the name of -o FILE decides how FILE is written": given.format
            and given.output,
            "--resume and --retry-problems need -o FILE": continues and not given.output,
            "--force is for -o FILE": given.force and not given.output,
            "--force and --resume contradict each other": given.force and continues,
            "--detail full does not fit into the table; use --format jsonl, tsv or csv, or -o FILE": given.full
            and given.layout == "table",
        },
    )
    given.resume = continues
    given.options = Options(**{name: getattr(given, name) for name in OPTIONS})
    given.limits = _limits(given)
    values: dict[str, Any] = {each.name: getattr(given, each.name) for each in fields(kind)}
    for name, value in values.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _layout(given: argparse.Namespace) -> Layout:
    if given.output is not None:
        # Until a Parquet file can be made, its rows are JSON lines.
        return "csv" if given.output.suffix.lower() == ".csv" else "jsonl"
    layout: Layout = given.format or ("table" if os.isatty(options.STANDARD_OUTPUT) else "tsv")
    return layout


def _limits(given: argparse.Namespace) -> Limits:
    usual = Limits(formats=given.formats)
    if not given.max_pixels:
        return usual
    memory = max(usual.max_decoded_bytes, int(given.max_pixels * DECODED_BYTES_PER_PIXEL))
    return Limits(formats=given.formats, max_pixels=given.max_pixels, max_decoded_bytes=memory)
