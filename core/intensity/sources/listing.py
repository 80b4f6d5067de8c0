"""The objects under a prefix, as S3 lists them: a page of 1,000 at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from intensity.sources.errors import SourceError, told
from intensity.sources.objects import S3Object, bare_etag, read_uri
from intensity.sources.selection import DELETE_MARKERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_s3 import S3Client

    from intensity.sources.selection import Selection


def prefix(s3: S3Client, uri: str, selection: Selection) -> Iterator[S3Object]:
    """Yield the objects whose keys begin as `uri` says, "s3://bucket/beginning". Raises SourceError."""
    try:
        bucket, beginning = read_uri(uri)
    except ValueError as error:
        raise SourceError(str(error)) from error
    operation = "list_object_versions" if selection.all_versions else "list_objects_v2"
    # The two operations have types of their own.
    paginator: Any = s3.get_paginator(operation)  # type: ignore[call-overload]
    try:
        for page in paginator.paginate(Bucket=bucket, Prefix=beginning):
            for entry in page.get("Versions" if selection.all_versions else "Contents", ()):
                if selection.takes(listed := _listed(bucket, entry), beginning):
                    yield listed
            if markers := len(page.get("DeleteMarkers", ())):
                selection.skipped[DELETE_MARKERS] += markers
    except (ClientError, BotoCoreError) as error:
        raise SourceError(f"cannot list {uri}: {told(error)}") from error


def _listed(bucket: str, entry: Mapping[str, Any]) -> S3Object:
    return S3Object(bucket, entry["Key"], entry.get("VersionId"), bare_etag(entry.get("ETag")), entry.get("Size"))
