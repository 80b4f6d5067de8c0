"""From the command line of `intensity bulk` to a plan: the objects in prefixes, lists and inventories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_intensity.bulk.errors import SourceError
from image_intensity.bulk.inventory import inventory
from image_intensity.bulk.listing import prefix
from image_intensity.bulk.lists import listed
from image_intensity.bulk.selection import Selection
from image_intensity.bulk.store import Store
from image_intensity.cli.inputs import NAMED_AGAIN, InputError
from image_intensity.cli.paths import Found
from image_intensity.cli.progress import searching
from image_intensity.options import suffixes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

    from image_intensity.bulk.objects import S3Object
    from image_intensity.cli.bulk_arguments import BulkArguments
    from image_intensity.cli.plan import Plan
    from image_intensity.cli.summary import Counts


def store(arguments: BulkArguments) -> Store:
    """Return where objects are read."""
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
