"""The command `intensity`: measures files and folders on all cores. docs/command.md is its manual."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from image_intensity.cli.arguments import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = parse(argv)
    needed = {"cli": ["tqdm"], **({"parquet": ["duckdb"]} if arguments.parquet else {})}
    for extra, modules in needed.items():
        if not all(map(find_spec, modules)):
            install = f"pip install 'image-intensity[{','.join(needed)}]'"
            sys.stderr.write(f"intensity: this needs the extra '{extra}': {install}\n")
            return USAGE_ERROR
    from image_intensity.cli.run import run  # noqa: PLC0415 - what --help does not need

    return run(arguments)
