"""The command lines of `intensity` and `intensity bulk`. Like `options`, this loads little."""

from __future__ import annotations

import argparse
import os
import textwrap
from functools import partial
from typing import TYPE_CHECKING

from image_intensity import OPTIONS, ImageFormat, Limits, Options, __version__
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


class Given(argparse.Namespace):
    """What a command line says: `options` has the help of each. Some are of files only, some of objects."""

    paths: list[str]
    name_list: str | None
    null: bool
    follow_links: bool
    prefixes: list[str]
    lists: list[str]
    inventories: list[str]
    url_encoded: bool
    include: list[str]
    exclude: list[str]
    hidden: bool
    all_versions: bool
    endpoint_url: str | None
    profile: str | None
    anonymous: bool
    formats: tuple[ImageFormat, ...]
    max_pixels: int | None
    max_bytes: int
    output: Path | None
    format: Layout | None
    detail: str | None
    resume: bool
    retry_problems: bool
    force: bool
    processes: int | None
    timeout: float
    progress: Kind

    @property
    def options(self) -> Options:
        return Options(**{name: getattr(self, name) for name in OPTIONS})

    @property
    def limits(self) -> Limits:
        usual = Limits(formats=self.formats)
        if not self.max_pixels:
            return usual
        memory = max(usual.max_decoded_bytes, int(self.max_pixels * DECODED_BYTES_PER_PIXEL))
        return Limits(formats=self.formats, max_pixels=self.max_pixels, max_decoded_bytes=memory)

    @property
    def full(self) -> bool:
        return self.detail == "full"

    @property
    def parquet(self) -> bool:
        return self.output is not None and self.output.suffix.lower() == ".parquet"

    @property
    def layout(self) -> Layout:
        """The form of the lines on standard output, or in `output` unless that is Parquet."""
        if self.output:
            # Until a Parquet file can be made, its rows are JSON lines.
            return "csv" if self.output.suffix.lower() == ".csv" else "jsonl"
        return self.format or ("table" if os.isatty(options.STANDARD_OUTPUT) else "tsv")


def folders(argv: Sequence[str]) -> Given:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = _parser(
        "intensity",
        "PATH...",
        "Measure the average grayscale intensity of PNGs and JPEGs: 0 is black, 255 is white. Every file that is named "
        "or found has one row in the results: its number, or why there is none.",
        "file",
    )
    options.add_files(parser.add_argument_group("which files").add_argument)
    given = _read(parser, argv, "paths")
    first = given.paths[0] if given.paths else ""
    if "-" in given.paths and given.name_list is not None:
        parser.error("- and --from are two lists of names; give one")
    if "-" in given.paths:
        given.name_list, given.paths = "-", [path for path in given.paths if path != "-"]
    _refuse(
        parser,
        {
            "name a file, a folder, - or --from FILE": not given.paths and given.name_list is None,
            "--null needs a list of names: - or --from FILE": given.null and given.name_list is None,
            f"{first}: {COMMANDS.get(first)}; a file or folder of that name is ./{first}": first in COMMANDS,
            f"{first}: objects of buckets are measured by `intensity bulk`": first.startswith("s3://"),
        },
    )
    return given


def buckets(argv: Sequence[str]) -> Given:
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
    given = _read(parser, argv, "prefixes")
    options.check_objects(parser, given)
    _refuse(parser, {"--profile and --no-sign-request contradict each other": given.anonymous and given.profile})
    return given


def _parser(prog: str, operands: str, description: str, noun: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [OPTION]... {operands}",
        description=textwrap.fill(description, WIDTH),
        epilog=EPILOG.format(noun=noun),
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=26, width=WIDTH),
        allow_abbrev=False,
    )


def _read(parser: argparse.ArgumentParser, argv: Sequence[str], operands: str) -> Given:
    """Add what both take, and read and check the command line."""
    parser.add_argument("--version", action="version", version=f"intensity {__version__}")
    options.add_measurement(parser.add_argument_group("how they are measured").add_argument)
    options.add_results(parser.add_argument_group("results").add_argument)
    options.add_run(parser.add_argument_group("the run").add_argument)
    end = argv.index("--") if "--" in argv else len(argv)
    # Only `parse_intermixed_args` takes operands between options, and only `parse_args` knows `--`.
    given = parser.parse_intermixed_args(argv[:end], Given())
    getattr(given, operands).extend(getattr(parser.parse_args(argv[end:]), operands))
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
    return given


def _refuse(parser: argparse.ArgumentParser, wrong: dict[str, object]) -> None:
    """End the program with the first sentence that applies."""
    for sentence, applies in wrong.items():
        if applies:
            parser.error(sentence)
