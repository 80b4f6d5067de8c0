"""The command line of `intensity bulk`. Nothing here loads botocore, so that `--help` is there at once."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intensity.cli.arguments import EPILOG, Arguments, Formatter, add_shared, check_shared, parsed, shared
from intensity.sources.objects import read_uri

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkArguments(Arguments):
    """The command line of `intensity bulk`."""

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


def parse(argv: Sequence[str]) -> BulkArguments:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    parser = _parser()
    given, rest = parsed(parser, argv)
    given.prefixes += rest.prefixes
    check_sources(parser, given)
    if given.anonymous and given.profile:
        parser.error("--profile and --no-sign-request contradict each other")
    check_shared(parser, given)
    return BulkArguments(
        prefixes=tuple(given.prefixes),
        lists=tuple(given.lists),
        url_encoded=given.url_encoded,
        inventories=tuple(given.inventories),
        include=tuple(given.include),
        exclude=tuple(given.exclude),
        hidden=given.hidden,
        all_versions=given.all_versions,
        endpoint_url=given.endpoint_url,
        profile=given.profile,
        anonymous=given.anonymous,
        **shared(given),
    )


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="intensity bulk",
        usage="intensity bulk [OPTION]... s3://BUCKET/PREFIX...",
        description="Measure the average grayscale intensity of PNGs and JPEGs in buckets of S3 or of a store like it. "
        "Every object that is listed has one row in the results: its number, or why there is none.",
        epilog=EPILOG.format(noun="object"),
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    add_sources(parser.add_argument_group("which objects"))
    _add_store(parser.add_argument_group("the store"))
    add_shared(parser)
    return parser


def check_sources(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program if nothing says which objects."""
    if not (given.prefixes or given.lists or given.inventories):
        parser.error("give s3://BUCKET/PREFIX, --from LIST or --inventory MANIFEST")
    if given.url_encoded and not given.lists:
        parser.error("--url-encoded is for --from LIST")


def add_sources(group: argparse._ArgumentGroup, *, only_s3: bool = False) -> None:
    """Add the options that choose objects. only_s3: lists and manifests cannot be files of this machine."""
    where = _address if only_s3 else str
    group.add_argument(
        "prefixes", metavar="PREFIX", nargs="*", type=_address, help="s3://BUCKET, or s3://BUCKET/ and how keys begin"
    )
    group.add_argument(
        "--from",
        dest="lists",
        metavar="LIST",
        action="append",
        type=where,
        default=[],
        help=f"also the objects in LIST, {'' if only_s3 else 'a file or '}s3://...: .csv or .jsonl, perhaps with .gz",
    )
    group.add_argument("--url-encoded", action="store_true", help="keys in LIST are written as in a URL")
    group.add_argument(
        "--inventory",
        dest="inventories",
        metavar="MANIFEST",
        action="append",
        type=where,
        default=[],
        help="also the objects of an S3 Inventory, by the address of its manifest.json",
    )
    group.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        default=[],
        help="take only keys that match, such as '2024/*.png', under any name; * also stands for slashes",
    )
    group.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help="leave out keys that match")
    group.add_argument("--hidden", action="store_true", help="also take keys with a part that begins with a dot")
    group.add_argument("--all-versions", action="store_true", help="also take versions that are not the current one")


def _add_store(group: argparse._ArgumentGroup) -> None:
    """Add the options for the store and who asks it."""
    group.add_argument(
        "--endpoint-url", metavar="URL", help="the store (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS)"
    )
    group.add_argument("--profile", metavar="NAME", help="a profile of the AWS CLI (AWS_PROFILE)")
    group.add_argument(
        "--no-sign-request", dest="anonymous", action="store_true", help="use no credentials, for public buckets"
    )


def _address(text: str) -> str:
    """Read the address of a bucket or prefix."""
    try:
        read_uri(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
