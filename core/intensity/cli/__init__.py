"""The command `intensity`: measures files, folders and buckets on all cores. docs/command.md is its manual."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from intensity.cli import arguments, runs_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intensity.cli.arguments import Given

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    _open_streams()
    given = list(sys.argv[1:] if argv is None else argv)
    commands = {"bulk": _bulk, "runs": _runs}
    return commands[given[0]](given[1:]) if given and given[0] in commands else _folders(given)


def _open_streams() -> None:
    """Open the standard streams that are closed, so that no file of ours gets their numbers.

    Input cannot be read and output cannot be written then; messages are lost.
    """
    for stream, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, mode)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end


def _folders(argv: Sequence[str]) -> int:
    given = arguments.folders(argv)
    if not _installed({"cli": "tqdm"}, given):
        return USAGE_ERROR
    # What --help does not need.
    from intensity import inputs  # noqa: PLC0415
    from intensity.run import run  # noqa: PLC0415
    from intensity.sources.files import Files  # noqa: PLC0415

    return run(given, "file", partial(inputs.files, given), Files())


def _bulk(argv: Sequence[str]) -> int:
    given = arguments.buckets(argv)
    if not _installed({"cli": "tqdm", "s3": "botocore"}, given):
        return USAGE_ERROR
    # As above.
    from intensity import inputs  # noqa: PLC0415
    from intensity.run import run  # noqa: PLC0415
    from intensity.sources.fetch import Store  # noqa: PLC0415

    store = Store(endpoint_url=given.endpoint_url, profile=given.profile, anonymous=given.anonymous)
    return run(given, "object", partial(inputs.objects, given, store), store)


def _runs(argv: Sequence[str]) -> int:
    given = runs_arguments.parse(argv)
    if not _installed({"cli": "tqdm", "s3": "botocore"}):
        return USAGE_ERROR
    # As above.
    from intensity.runs import command  # noqa: PLC0415

    return command.run(given)


def _installed(needed: dict[str, str], given: Given | None = None) -> bool:
    """Return whether the module of each extra is there; say how to install the extras otherwise."""
    needed = {**needed, **({"parquet": "duckdb"} if given and given.parquet else {})}
    for extra, module in needed.items():
        if not find_spec(module):
            # By its folder: an index of packages does not have this project, and may have another one of its name.
            install = f'pip install "./core[{",".join(needed)}]"'
            sys.stderr.write(f"intensity: this needs the extra '{extra}'. In a clone of the project: {install}\n")
            return False
    return True
