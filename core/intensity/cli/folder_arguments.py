"""The command line of `intensity`, for files and folders. Like `arguments`, it loads no decoder."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intensity.cli.arguments import EPILOG, Arguments, Formatter, add_shared, check_shared, parsed, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

# Commands of their own come first. A file or folder of that name is written as ./bulk.
COMMANDS = {
    "bulk": "the command is `intensity bulk OPTION... s3://...`",
    "runs": "the command is `intensity runs start s3://...`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderArguments(Arguments):
    """The command line of `intensity`."""

    paths: tuple[bytes, ...]
    name_list: str | None
    separator: bytes
    hidden: bool
    follow_links: bool


def parse(argv: Sequence[str]) -> FolderArguments:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = _parser()
    given, rest = parsed(parser, argv)
    _check_first(parser, given.paths)
    given.paths += rest.paths
    _check(parser, given)
    return FolderArguments(
        paths=tuple(os.fsencode(path) for path in given.paths if path != "-"),
        name_list="-" if "-" in given.paths else given.name_list,
        separator=b"\0" if given.null else b"\n",
        hidden=given.hidden,
        follow_links=given.follow_links,
        **shared(given),
    )


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program if options contradict each other."""
    wrong = {
        "name a file, a folder, - or --from FILE": not given.paths and given.name_list is None,
        "- and --from are two lists of names; give one": "-" in given.paths and given.name_list is not None,
        "--null needs a list of names: - or --from FILE": given.null
        and "-" not in given.paths
        and given.name_list is None,
    }
    for sentence, applies in wrong.items():
        if applies:
            parser.error(sentence)
    check_shared(parser, given)


def _check_first(parser: argparse.ArgumentParser, paths: Sequence[str]) -> None:
    """End the program if a command of its own was meant."""
    first = paths[0] if paths else ""
    if first in COMMANDS:
        parser.error(f"{first}: {COMMANDS[first]}; a file or folder of that name is ./{first}")
    if first.startswith("s3://"):
        parser.error(f"{first}: objects of buckets are measured by `intensity bulk`")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="intensity",
        usage="intensity [OPTION]... PATH...",
        description="Measure the average grayscale intensity of PNGs and JPEGs: 0 is black, 255 is white. Every file "
        "that is named or found has one row in the results: its number, or why there is none.",
        epilog=EPILOG.format(noun="file"),
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    _add_inputs(parser.add_argument_group("which files"))
    add_shared(parser)
    return parser


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    """Add the options that choose files."""
    group.add_argument("paths", metavar="PATH", nargs="*", help="a file, a folder, or - for a list on standard input")
    group.add_argument("--from", dest="name_list", metavar="FILE", help="read names from FILE, one a line")
    group.add_argument("-0", "--null", action="store_true", help="names in a list end with NUL, as find -print0 has it")
    group.add_argument("--hidden", action="store_true", help="in folders, also take names that begin with a dot")
    group.add_argument("--follow-links", action="store_true", help="also go into folders that are links")
