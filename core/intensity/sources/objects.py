"""What an object is: bucket, key and version say which one, ETag and size what it was when it was listed."""

from __future__ import annotations

import re
from typing import NamedTuple

# Names of buckets, old ones with capitals included, and aliases of access points. ARNs are not taken.
URI = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(.*))?", re.DOTALL)
VERSION = b"?versionId="
# In UTF-8. S3's own limit.
LONGEST_KEY = 1024


class S3Object(NamedTuple):
    """An object that was listed.

    version: "null" is the one from before the bucket had versions; None where the source names none. etag: without
    quotation marks, None if unknown. size: in bytes, None if unknown.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    size: int | None = None

    @property
    def name(self) -> bytes:
        """Bucket, key and version as bytes: two objects have the same name only if they are the same."""
        name = f"s3://{self.bucket}/{self.key}".encode()
        if self.version is not None:
            return name + VERSION + self.version.encode()
        # A key can look as if a version followed it. An empty version says that there is none.
        return name + VERSION if VERSION in name else name


def read_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, or the beginning of keys, of "s3://bucket/key". Raises ValueError."""
    found = URI.fullmatch(uri)
    if not found:
        raise ValueError(f"{uri!r} is not an address such as s3://bucket/prefix")
    return found[1], found[2] or ""


def read_name(name: bytes) -> S3Object:
    """Return the object that has this name, without ETag and size. Raises ValueError."""
    address, separator, version = name.rpartition(VERSION)
    bucket, key = read_uri((address if separator else name).decode())
    return S3Object(bucket, key, version.decode() or None if separator else None)


def bare_etag(etag: str | None) -> str | None:
    """Return an ETag without its quotation marks; None for an empty one."""
    return (etag or "").strip().strip('"') or None
