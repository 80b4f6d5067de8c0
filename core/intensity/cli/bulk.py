"""From the command line of `intensity bulk` to a plan: the objects in prefixes, lists and inventories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_intensity.options import suffixes_of
from intensity.inputs import NAMED_AGAIN, InputError
from intensity.progress import searching
from intensity.sources.errors import SourceError
from intensity.sources.inventory import inventory
from intensity.sources.listing import prefix
from intensity.sources.lists import listed
from intensity.sources.paths import Found
from intensity.sources.selection import Selection
from intensity.sources.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

    from intensity.cli.arguments import BulkArguments
    from intensity.plan import Plan
    from intensity.sources.objects import S3Object
    from intensity.summary import Counts


def store(arguments: BulkArguments) -> Store:
    return Store(endpoint_url=arguments.endpoint_url, profile=arguments.profile, anonymous=arguments.anonymous)


def fill(arguments: BulkArguments, plan: Plan, counts: Counts) -> None:
    """List the objects and put each into `plan` once. Raises InputError."""
    selection = Selection(
        suffixes=suffixes_of(arguments.limits.formats),
        include=arguments.include,
        exclude=arguments.exclude,
        hidden=arguments.hidden,
        all_versions=arguments.all_versions,
        skipped=counts.skipped,
    )
    try:
        found = _objects(store(arguments).client(), arguments, selection)
        for number, each in searching(arguments.progress, found):
            if not plan.add(number, Found(each.name, etag=each.etag, size=each.size)):
                counts.skipped[NAMED_AGAIN] += 1
    except SourceError as error:
        raise InputError(str(error)) from error
    counts.total = plan.total()


def _objects(s3: S3Client, arguments: BulkArguments, selection: Selection) -> Iterator[tuple[int, S3Object]]:
    """Yield the objects, each with a number: rows are sorted by it, and within it by name."""
    number = 0
    for uri in arguments.prefixes:
        yield from ((number, each) for each in prefix(s3, uri, selection))
        number += 1
    for source in arguments.lists:
        # Rows keep the order of a list.
        for each in listed(s3, source, selection, url_encoded=arguments.url_encoded):
            yield number, each
            number += 1
    for manifest in arguments.inventories:
        yield from ((number, each) for each in inventory(s3, manifest, selection))
        number += 1
