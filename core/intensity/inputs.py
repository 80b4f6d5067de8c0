"""From the command line to what it names: files, or objects of buckets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from image_intensity import suffixes_of
from intensity.plan import NAMED_AGAIN
from intensity.progress import searching
from intensity.sources.errors import SourceError
from intensity.sources.paths import Search, find, listed
from intensity.sources.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intensity.cli.arguments import Given
    from intensity.plan import Plan
    from intensity.progress import Kind as Progress
    from intensity.sources.fetch import Store
    from intensity.sources.paths import Found
    from intensity.summary import Counts

    # What yields each file or object, with a number: rows are sorted by it, and within it by name.
    Input = Callable[[Counts], Iterator[tuple[int, Found]]]

STANDARD_INPUT = 0


def fill(plan: Plan, counts: Counts, found: Input, progress: Progress) -> None:
    """Put what is found into `plan`, each once. Raises SourceError."""
    for number, each in searching(progress, counts.noun, found(counts)):
        if not plan.add(number, each):
            counts.skipped[NAMED_AGAIN] += 1
    counts.total = plan.total()


def files(given: Given, counts: Counts) -> Iterator[tuple[int, Found]]:
    suffixes = frozenset(suffix.encode() for suffix in suffixes_of(given.formats))
    search = Search(suffixes, given.hidden, given.follow_links, counts.skipped)
    for number, name in enumerate(names(given)):
        yield from ((number, found) for found in find(name, search))


def names(given: Given) -> Iterator[bytes]:
    """Yield the names on the command line, then those of a list. Raises SourceError."""
    yield from (os.fsencode(path) for path in given.paths)
    if given.name_list is None:
        return
    try:
        with os.fdopen(STANDARD_INPUT, "rb") if given.name_list == "-" else Path(given.name_list).open("rb") as file:
            yield from listed(file, b"\0" if given.null else b"\n")
    except (SourceError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"cannot read names from {given.name_list}: {reason}") from error


def objects(given: Given, store: Store, counts: Counts) -> Iterator[tuple[int, Found]]:
    from intensity.sources import listing  # noqa: PLC0415 - it needs botocore

    selection = Selection(
        suffixes=suffixes_of(given.formats),
        include=tuple(given.include),
        exclude=tuple(given.exclude),
        hidden=given.hidden,
        all_versions=given.all_versions,
        skipped=counts.skipped,
    )
    s3, number = store.client(), 0
    for source in listing.sources(given.prefixes, given.lists, given.inventories, url_encoded=given.url_encoded):
        for each in listing.objects(s3, source, selection):
            yield number, each.found
            # Rows keep the order of a list.
            number += source.in_order
        number += 1
