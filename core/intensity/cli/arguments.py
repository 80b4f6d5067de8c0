"""What the command lines share. Nothing here loads the decoders, so that `--help` is there at once."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from image_intensity import OPTIONS, ImageFormat, Limits, Options, __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from image_intensity import Option
    from intensity.lines import Layout
    from intensity.progress import Kind

# Decoding takes this many bytes for a pixel at the default limits, 1.45 GB for 200 million pixels.
DECODED_BYTES_PER_PIXEL = 7.25
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
MAX_BYTES = 1_000_000_000
TIMEOUT_SECONDS = 60.0
SUFFIXES: dict[str, Literal["csv", "jsonl", "parquet"]] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
EPILOG = """\
Without -o, the results are a table on a terminal and tab-separated lines in a pipe.
Exit codes: 0 every {noun} was measured, 1 some were not or there were none, 2 wrong
usage, 130 ended by Ctrl+C, 143 by SIGTERM. Manual: docs/command.md in the project.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What all commands that measure take.

    layout: the form of the lines on standard output, or in `output` unless that is Parquet.
    """

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
        """Whether the output is a Parquet file."""
        return self.output is not None and self.output.suffix.lower() == ".parquet"


def shared(given: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `Arguments`."""
    formats = given.formats
    limits = Limits(formats=formats)
    if given.max_pixels:
        memory = max(limits.max_decoded_bytes, int(given.max_pixels * DECODED_BYTES_PER_PIXEL))
        limits = Limits(formats=formats, max_pixels=given.max_pixels, max_decoded_bytes=memory)
    return {
        "options": options_of(given),
        "limits": limits,
        "max_bytes": given.max_bytes,
        "full": given.detail == "full",
        "output": given.output,
        "layout": _layout(given),
        "resume": given.resume or given.retry_problems,
        "retry_problems": given.retry_problems,
        "force": given.force,
        "processes": given.processes,
        "timeout": given.timeout,
        "progress": given.progress,
    }


def _layout(given: argparse.Namespace) -> Layout:
    """Return how rows are written."""
    if given.output is not None:
        # Until a Parquet file can be made, its rows are JSON lines.
        return "csv" if given.output.suffix.lower() == ".csv" else "jsonl"
    layout: Layout = given.format or ("table" if os.isatty(STANDARD_OUTPUT) else "tsv")
    return layout


def check_shared(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End the program if options that all commands take contradict each other."""
    wrong = {
        "--format is for standard output; the end of the name of -o FILE decides how FILE is written": given.format
        and given.output,
        "--resume and --retry-problems need -o FILE": (given.resume or given.retry_problems) and not given.output,
        "--force is for -o FILE": given.force and not given.output,
        "--force and --resume contradict each other": given.force and (given.resume or given.retry_problems),
        "--detail full does not fit into the table; use --format jsonl, tsv or csv, or -o FILE": given.detail == "full"
        and _layout(given) == "table",
    }
    for sentence, applies in wrong.items():
        if applies:
            parser.error(sentence)


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands take."""
    parser.add_argument("--version", action="version", version=f"intensity {__version__}")
    add_measurement(parser.add_argument_group("how they are measured"))
    _add_results(parser.add_argument_group("results"))
    _add_run(parser.add_argument_group("the run"))


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[argparse.Namespace, argparse.Namespace]:
    """Read the command line up to `--`, and the operands behind it, which may begin with a hyphen."""
    end = argv.index("--") if "--" in argv else len(argv)
    # Only `parse_intermixed_args` takes operands between options, and only `parse_args` knows `--`.
    return parser.parse_intermixed_args(argv[:end]), parser.parse_args(argv[end:])


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the epilog, and has a wider column for the options."""

    def __init__(self, prog: str) -> None:
        """Set the width of the columns."""
        super().__init__(prog, max_help_position=26, width=100)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap all but the epilog."""
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)  # noqa: SLF001 - its own way to be changed


def add_measurement(group: argparse._ArgumentGroup, max_bytes: int = MAX_BYTES) -> None:
    """Add the options that change numbers and refusals."""
    add_options(group)
    default = Limits()
    group.add_argument(
        "--formats",
        metavar="LIST",
        type=_formats,
        default=default.formats,
        help="formats to accept, with commas between them (PNG,JPEG)",
    )
    group.add_argument(
        "--max-pixels",
        metavar="N",
        type=number(int),
        help=f"refuse images of more pixels ({default.max_pixels:,}); memory grows with it",
    )
    group.add_argument(
        "--max-bytes",
        metavar="N",
        type=number(int),
        default=max_bytes,
        help=f"do not read files of more bytes ({max_bytes:,})",
    )


def add_detail(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--detail", choices=("full",), help="add statistics, histogram and method, as in the API")


def _add_results(group: argparse._ArgumentGroup) -> None:
    """Add the options for the place and form of the results."""
    group.add_argument(
        "-o", "--output", metavar="FILE", type=_output, help="write results to FILE: .csv, .jsonl or .parquet"
    )
    group.add_argument(
        "--format",
        choices=("table", "tsv", "csv", "jsonl"),
        help="form of standard output: table (on a terminal), tsv (in a pipe), csv or jsonl",
    )
    add_detail(group)
    group.add_argument("--resume", action="store_true", help="measure only what has no row in FILE yet")
    group.add_argument("--retry-problems", action="store_true", help="resume, and measure again what had a problem")
    group.add_argument("--force", action="store_true", help="overwrite FILE")


def _add_run(group: argparse._ArgumentGroup) -> None:
    """Add the options for processes, time and progress."""
    group.add_argument("-j", "--processes", metavar="N", type=number(int), help="processes (one for each core)")
    group.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=number(float),
        default=TIMEOUT_SECONDS,
        help=f"give a file up after this time ({TIMEOUT_SECONDS:g})",
    )
    add_progress(group)


def add_progress(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar" if os.isatty(STANDARD_ERROR) else "none",
        help="on standard error: bar (on a terminal), json (a line each second) or none",
    )


def add_options(group: argparse._ArgumentGroup) -> None:
    """Add the fields of `Options`."""
    for name, option in OPTIONS.items():
        group.add_argument(
            f"--{name}",
            metavar=option.kind.FORM.upper() if option.kind else None,
            choices=option.values or None,
            type=_reader(option) if option.kind else str,
            default=option.default,
            help=f"{option.description} ({option.default})" if option.default else option.description,
        )


def _reader(option: Option) -> Callable[[str], Any]:
    """Return a function that reads the text of an option."""

    def read(text: str) -> Any:  # noqa: ANN401 - of any option
        try:
            return option.checked(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {option.name}: {error}") from error

    return read


def options_of(given: argparse.Namespace) -> Options:
    """Return the options that were given."""
    return Options(**{name: getattr(given, name) for name in OPTIONS})


def number(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return a function that reads a number above zero."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
        return value

    read.__name__ = "number"
    return read


def _formats(text: str) -> tuple[ImageFormat, ...]:
    """Read a list of formats."""
    asked = {name.strip().upper() for name in text.split(",")}
    known: tuple[ImageFormat, ...] = get_args(ImageFormat)
    if not asked <= set(known):
        raise argparse.ArgumentTypeError(f"{text} is not a list of {' and '.join(known)}")
    return tuple(name for name in known if name in asked)


def _output(text: str) -> Path:
    """Read the name of the file for results."""
    if Path(text).suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"the name of {text} must end with {', '.join(SUFFIXES)}")
    return Path(text)
