"""The command lines of `intensity` and `intensity bulk`. Like `options`, this loads little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intensity.cli import options
from intensity.cli.parser import Parser
from intensity.given import Given

if TYPE_CHECKING:
    from collections.abc import Sequence

FILES = """\
Measure the average grayscale intensity of images, PNG or JPEG, with --formats
also WebP and TIFF: 0 is black, 255 is white. Each file that is named or found
has one row in the results: its exact number, or why there is none."""
OBJECTS = """\
Measure the images in buckets of S3, or of a store like it. Each object that is
listed has one row in the results: its exact number, or why there is none."""
EXIT_CODES = """\
exit codes: 0 each {noun} was measured, 1 some were not or there were none,
  2 wrong usage, 130 ended by Ctrl+C, 143 by SIGTERM
"""
EXAMPLES = """\
examples:
  intensity photo.jpg                           one image
  intensity photos/ -o photos.csv               a folder, for a spreadsheet
  intensity bulk s3://bucket/2026/ -o all.csv   a bucket, read by this machine
  intensity runs start s3://bucket/2026/        a bucket, measured on AWS

commands (`intensity help bulk` shows the options of bulk; a file is ./bulk):
  intensity PATH...       measure files and folders
  intensity bulk          measure objects of buckets on this machine
  intensity runs          measure buckets on AWS
  intensity manual        show the manual: columns, codes, names, resuming
  intensity help          show this

"""


def folders(argv: Sequence[str]) -> Given:
    """Read the command line. Ends the program with exit code 2 and a sentence if it is wrong."""
    epilog = EXAMPLES + EXIT_CODES.format(noun="file")
    parser = Parser(prog="intensity", usage="intensity [OPTION]... PATH...", description=FILES, epilog=epilog)
    options.add_files(parser.add_argument_group("which files").add_argument)
    given = _read(parser, argv, "paths")
    if "-" in given.paths and given.name_list is not None:
        parser.error("- and --from are two lists of names; give one")
    if "-" in given.paths:
        given.name_list, given.paths = "-", [path for path in given.paths if path != "-"]
    if not given.paths and given.name_list is None:
        parser.error("name a file, a folder, - or --from FILE")
    if given.null and given.name_list is None:
        parser.error("--null needs a list of names: - or --from FILE")
    first = given.paths[0] if given.paths else ""
    if first in options.COMMANDS:
        parser.error(f"{first}: the command is `intensity {first}` without options before it; a file is ./{first}")
    if first.startswith("s3://"):
        parser.error(f"{first}: objects of buckets are measured by `intensity bulk`")
    return given


def buckets(argv: Sequence[str]) -> Given:
    """Likewise for `intensity bulk`."""
    usage, epilog = "intensity bulk [OPTION]... s3://BUCKET/PREFIX...", EXIT_CODES.format(noun="object")
    parser = Parser(prog="intensity bulk", usage=usage, description=OBJECTS, epilog=epilog)
    options.add_objects(parser.add_argument_group("which objects").add_argument)
    options.add_store(parser.add_argument_group("the store").add_argument)
    given = _read(parser, argv, "prefixes")
    options.check_objects(parser, given)
    if given.anonymous and given.profile:
        parser.error("--profile and --no-sign-request contradict each other")
    return given


def _read(parser: Parser, argv: Sequence[str], operands: str) -> Given:
    """Add what both take, and read and check the command line."""
    options.add_measurement(parser.add_argument_group("how they are measured").add_argument)
    options.add_results(parser.add_argument_group("results").add_argument)
    options.add_run(parser.add_argument_group("the run").add_argument)
    parser.complete(options.COMMANDS if operands == "paths" else ())
    end = argv.index("--") if "--" in argv else len(argv)
    # Only `parse_intermixed_args` takes operands between options, and only `parse_args` knows `--`.
    given = parser.parse_intermixed_args(argv[:end], Given())
    getattr(given, operands).extend(getattr(parser.parse_args(argv[end:]), operands))
    if wrong := given.contradictions():
        parser.error("; ".join(wrong))
    given.resume |= given.retry_problems
    if given.quiet:
        given.progress = "none"
    return given
