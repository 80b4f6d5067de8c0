"""The objects that sources name: prefixes, as S3 lists them, lists and inventories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from intensity.sources.errors import SourceError, told
from intensity.sources.inventory import inventory
from intensity.sources.lists import listed
from intensity.sources.objects import S3Object, bare_etag, located
from intensity.sources.selection import DELETE_MARKERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from types_boto3_s3 import S3Client

    from intensity.sources.selection import Selection

Kind = Literal["prefix", "list", "url_encoded_list", "inventory"]


class Source(NamedTuple):
    """Where objects are named: a prefix, a list (CSV or JSON lines), or the manifest of an S3 Inventory."""

    kind: Kind
    uri: str

    @property
    def in_order(self) -> bool:
        """Whether rows keep the order of the source; otherwise they are sorted by name."""
        return self.kind in {"list", "url_encoded_list"}


def sources(
    prefixes: Iterable[str], lists: Iterable[str], inventories: Iterable[str], *, url_encoded: bool
) -> list[Source]:
    """Return the sources of a command line, in the order of its rows. url_encoded: of keys in lists."""
    kind: Kind = "url_encoded_list" if url_encoded else "list"
    return [
        *(Source("prefix", uri) for uri in prefixes),
        *(Source(kind, uri) for uri in lists),
        *(Source("inventory", uri) for uri in inventories),
    ]


def objects(s3: S3Client, source: Source, selection: Selection) -> Iterator[S3Object]:
    """Yield what a source names, duplicates included. Raises SourceError."""
    if source.kind == "prefix":
        return prefix(s3, source.uri, selection)
    if source.kind == "inventory":
        return inventory(s3, source.uri, selection)
    return listed(s3, source.uri, selection, url_encoded=source.kind == "url_encoded_list")


def prefix(s3: S3Client, uri: str, selection: Selection) -> Iterator[S3Object]:
    """Yield the objects whose keys begin as `uri` says, "s3://bucket/beginning". Raises SourceError."""
    bucket, beginning = located(uri)
    operation, entries = (
        ("list_object_versions", "Versions") if selection.all_versions else ("list_objects_v2", "Contents")
    )
    # The two operations have types of their own.
    paginator: Any = s3.get_paginator(operation)  # type: ignore[call-overload]
    try:
        for page in paginator.paginate(Bucket=bucket, Prefix=beginning):
            for entry in page.get(entries, ()):
                etag = bare_etag(entry.get("ETag"))
                found = S3Object(bucket, entry["Key"], entry.get("VersionId"), etag, entry.get("Size"))
                if selection.takes(found.key, found.size, beginning):
                    yield found
            if markers := len(page.get("DeleteMarkers", ())):
                selection.skipped[DELETE_MARKERS] += markers
    except (ClientError, BotoCoreError) as error:
        raise SourceError(f"cannot list {uri}: {told(error)}") from error
