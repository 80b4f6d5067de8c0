"""The options of all commands, each declared once. This loads no decoder, so that `--help` is there at once."""

from __future__ import annotations

import argparse
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from image_intensity import OPTIONS, ImageFormat, Limits
from intensity.rows import columns
from intensity.sources.objects import read_uri
from intensity.writing import STANDARD_ERROR, STANDARD_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_intensity import Option
    from intensity.rows import Column

    # `add_argument` of a parser, or of a group in it.
    Add = Callable[..., object]

MAX_BYTES = 1_000_000_000
TIMEOUT_SECONDS = 60.0
SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
# They come first on a command line.
COMMANDS = ("bulk", "runs", "manual", "help")


def add_files(add: Add) -> None:
    add("paths", metavar="PATH", nargs="*", help="a file, a folder, or - for standard input: a list or an image")
    add("--from", dest="name_list", metavar="FILE", help="read names from FILE, one a line")
    add("-0", "--null", action="store_true", help="names in a list end with NUL, as find -print0 has it")
    add_patterns(add, "in folders, paths below them")
    add("--hidden", action="store_true", help="in folders, also take names that begin with a dot")
    add("--follow-links", action="store_true", help="also go into folders that are links")


def add_objects(add: Add, *, only_s3: bool = False) -> None:
    """only_s3: lists and manifests cannot be files of this machine."""
    list_help = f"also the objects in LIST, {'' if only_s3 else 'a file or '}s3://...: .csv or .jsonl, perhaps with .gz"
    named: dict[str, Any] = {"action": "append", "default": [], "type": address if only_s3 else str}
    add("prefixes", metavar="PREFIX", nargs="*", type=address, help="s3://BUCKET, or s3://BUCKET/ and how keys begin")
    add("--from", dest="lists", metavar="LIST", **named, help=list_help)
    add("--url-encoded", action="store_true", help="keys in LIST are written as in a URL")
    manifest_help = "also the objects of an S3 Inventory, by the address of its manifest.json"
    add("--inventory", dest="inventories", metavar="MANIFEST", **named, help=manifest_help)
    add_patterns(add, "keys")
    add("--hidden", action="store_true", help="also take keys with a part that begins with a dot")
    add("--all-versions", action="store_true", help="also take versions that are not the current one")


def add_patterns(add: Add, what: str) -> None:
    several: dict[str, Any] = {"metavar": "PATTERN", "action": "append", "default": []}
    include_help = f"take only {what} that match, such as '2024/*.png', under any name; * also stands for slashes"
    add("--include", **several, help=include_help)
    add("--exclude", **several, help=f"leave out {what} that match")


def check_objects(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program if nothing says which objects."""
    if not (given.prefixes or given.lists or given.inventories):
        parser.error("give s3://BUCKET/PREFIX, --from LIST or --inventory MANIFEST")
    if given.url_encoded and not given.lists:
        parser.error("--url-encoded is for --from LIST")


def add_store(add: Add) -> None:
    add("--endpoint-url", metavar="URL", help="the store (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS)")
    add("--profile", metavar="NAME", help="a profile of the AWS CLI (AWS_PROFILE)")
    add("--no-sign-request", dest="anonymous", action="store_true", help="use no credentials, for public buckets")


def add_measurement(add: Add, max_bytes: int = MAX_BYTES) -> None:
    """Add the options that change numbers and refusals."""
    usual = Limits()
    for name, option in OPTIONS.items():
        told = f"{option.description} ({option.default})" if option.default else option.description
        kind = {"metavar": option.kind.FORM.upper(), "type": reader(option)} if option.kind else {}
        add(f"--{name}", choices=option.values or None, default=option.default, help=told, **kind)
    known = ", ".join(get_args(ImageFormat))
    formats_help = f"formats to accept, with commas between them: {known} ({','.join(usual.formats)})"
    add("--formats", metavar="LIST", type=formats, default=usual.formats, help=formats_help)
    pixels_help = f"refuse images of more pixels ({usual.max_pixels:,}); memory grows with it"
    add("--max-pixels", metavar="N", type=number(int), help=pixels_help)
    bytes_help = f"do not read files of more bytes ({max_bytes:,})"
    add("--max-bytes", metavar="N", type=number(int), default=max_bytes, help=bytes_help)


def add_detail(add: Add) -> None:
    add("--detail", choices=("full",), help="add statistics, histogram and method, as in the API")


def add_results(add: Add) -> None:
    add("-o", "--output", metavar="FILE", type=output, help=f"write to FILE: {', '.join(SUFFIXES)}; - is usual output")
    format_help = "form of standard output: table (on a terminal), tsv (in a pipe), csv, json or jsonl"
    add("--format", choices=("table", "tsv", "csv", "json", "jsonl"), help=format_help)
    add("--excel", action="store_true", help="mark CSV as UTF-8, so that Excel reads it rightly")
    add_detail(add)
    columns_help = "only these columns, with commas between them, such as path,average_intensity"
    add("--columns", dest="only", metavar="LIST", type=columns_of, default=(), help=columns_help)
    add("--sort", metavar="COLUMN", type=sortable, help="sort the rows, which come at the end then")
    add("--reverse", action="store_true", help="sort from the highest to the lowest")
    add("--problems-only", action="store_true", help="only rows without a number")
    summary_help = "print count, mean, minimum and maximum; without -o, no rows"
    add("--summary", action="store_true", help=summary_help)
    add("--resume", action="store_true", help="measure only what has no row in FILE yet")
    add("--retry-problems", action="store_true", help="resume, and measure again what had a problem")
    add("--force", action="store_true", help="overwrite FILE")


def add_run(add: Add) -> None:
    add("--dry-run", action="store_true", help="print the names that would be measured, and measure nothing")
    add("-j", "--processes", metavar="N", type=number(int), help="processes (one for each core)")
    timeout_help = f"give a file up after this time ({TIMEOUT_SECONDS:g})"
    add("--timeout", metavar="SECONDS", type=number(float), default=TIMEOUT_SECONDS, help=timeout_help)
    add("-q", "--quiet", action="store_true", help="print no progress and no sums, only errors")
    add_progress(add)


def add_progress(add: Add) -> None:
    # A pipe may end on the same terminal, as that of `intensity photos/ | cut -f 1,2` does.
    piped = stat.S_ISFIFO(os.fstat(STANDARD_OUTPUT).st_mode)
    usual = "bar" if os.isatty(STANDARD_ERROR) and not piped else "none"
    told = "on standard error: bar (on a terminal, unless rows go to a pipe), json (a line each second) or none"
    add("--progress", choices=("bar", "json", "none"), default=usual, help=told)


def number(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return a function that reads a number above zero."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
        return value

    read.__name__ = "number"
    return read


def reader(option: Option) -> Callable[[str], Any]:
    """Return a function that reads the text of an option."""

    def read(text: str) -> Any:  # noqa: ANN401 - of any option
        try:
            return option.checked(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {option.name}: {error}") from error

    return read


def formats(text: str) -> tuple[ImageFormat, ...]:
    asked = {name.strip().upper() for name in text.split(",")}
    known: tuple[ImageFormat, ...] = get_args(ImageFormat)
    if not asked <= set(known):
        raise argparse.ArgumentTypeError(f"{text} is not a list of {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def columns_of(text: str) -> tuple[Column, ...]:
    known = {column.name: column for column in columns(full=True)}
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no column; there are {', '.join(known)}")
    return tuple(known[name] for name in names)


def sortable(text: str) -> Column:
    column, *more = columns_of(text)
    if more or column.parquet_type not in {"VARCHAR", "DOUBLE", "BIGINT"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not one column of numbers or text")
    return column


def output(text: str) -> Path | None:
    if text == "-":
        return None
    if Path(text).suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"the name of {text} must end with {', '.join(SUFFIXES)}")
    return Path(text)


def address(text: str) -> str:
    try:
        read_uri(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
