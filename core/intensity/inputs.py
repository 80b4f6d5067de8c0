"""From the command line to a plan: the names that were given, and the files that they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from image_intensity.options import suffixes_of
from intensity.sources.paths import ListError, Search, find, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intensity.cli.arguments import FolderArguments
    from intensity.plan import Plan
    from intensity.summary import Counts

NAMED_AGAIN = "named_again"
STANDARD_INPUT = 0


class InputError(Exception):
    """A list of names cannot be read."""


def fill(arguments: FolderArguments, plan: Plan, counts: Counts) -> None:
    """Find the files and put each into `plan` once. Raises InputError."""
    suffixes = frozenset(suffix.encode() for suffix in suffixes_of(arguments.limits.formats))
    search = Search(suffixes, arguments.hidden, arguments.follow_links, counts.skipped)
    for number, name in enumerate(named(arguments)):
        for found in find(name, search):
            if not plan.add(number, found):
                counts.skipped[NAMED_AGAIN] += 1
    counts.total = plan.total()


def named(arguments: FolderArguments) -> Iterator[bytes]:
    """Yield the names on the command line, then those of a list. Raises InputError."""
    yield from arguments.paths
    if arguments.name_list is None:
        return
    try:
        name = arguments.name_list
        with os.fdopen(STANDARD_INPUT, "rb") if name == "-" else Path(name).open("rb") as file:
            yield from listed(file, arguments.separator)
    except (ListError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read names from {arguments.name_list}: {reason}") from error
