"""What an object is: bucket, key and version say which one, ETag and size what it was when it was listed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from intensity.sources.errors import SourceError
from intensity.sources.paths import Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Names of buckets, old ones with capitals included, and aliases of access points. ARNs are not taken.
BUCKET = "[A-Za-z0-9][A-Za-z0-9._-]{1,254}"
URI = re.compile(f"s3://({BUCKET})(?:/(.*))?", re.DOTALL)
VERSION = b"?versionId="
# In UTF-8. S3's own limit.
LONGEST_KEY = 1024
# The columns of a row that say which object it is.
KNOWN = {"bucket", "key", "version", "versionid", "etag", "size"}


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

    @property
    def found(self) -> Found:
        return Found(self.name, etag=self.etag, size=self.size)


def read_found(found: Found) -> S3Object:
    return read_name(found.path)._replace(etag=found.etag, size=found.size)


def read_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, or the beginning of keys, of "s3://bucket/key". Raises ValueError."""
    found = URI.fullmatch(uri)
    if not found:
        raise ValueError(f"{uri!r} is not an address such as s3://bucket/prefix")
    return found[1], found[2] or ""


def located(uri: str) -> tuple[str, str]:
    """Like `read_uri`, for the address of a source. Raises SourceError."""
    try:
        return read_uri(uri)
    except ValueError as error:
        raise SourceError(str(error)) from error


def read_name(name: bytes) -> S3Object:
    """Return the object that has this name, without ETag and size. Raises ValueError."""
    address, separator, version = name.rpartition(VERSION)
    bucket, key = read_uri((address if separator else name).decode())
    return S3Object(bucket, key, version.decode() or None if separator else None)


def bare_etag(etag: str | None) -> str | None:
    """Return an ETag without its quotation marks; None for an empty one."""
    return (etag or "").strip().strip('"') or None


def heads(columns: Iterable[str]) -> list[str]:
    """Return the names of columns as `read_row` has them: "versionid" for `VersionId`. Raises ValueError."""
    names = [column.strip().lower().replace("_", "") for column in columns]
    if twice := [name for name in names if name in KNOWN and names.count(name) > 1]:
        raise ValueError(f"it has the column {twice[0]} twice")
    return names


def named(columns: Sequence[str], cells: Sequence[Any]) -> dict[str, Any]:
    """Return a row by its columns. Raises ValueError."""
    if len(columns) != len(cells):
        raise ValueError(f"a row has {len(cells)} cells, and there are {len(columns)} columns")
    return dict(zip(columns, cells, strict=True))


def read_row(row: Mapping[str, Any]) -> S3Object:
    """Return the object of a row that is named by `heads`; other columns do not matter. Raises ValueError."""
    if missing := [name for name in ("bucket", "key") if row.get(name) is None]:
        raise ValueError(f"it has no {missing[0]}")
    bucket, key, version, etag = row["bucket"], row["key"], row.get("version") or row.get("versionid"), row.get("etag")
    if not_text := [value for value in (bucket, key, version or "", etag or "") if not isinstance(value, str)]:
        raise ValueError(f"{not_text[0]!r} is not text")
    # What S3 never gives would make names that mean two objects.
    if not re.fullmatch(BUCKET, bucket):
        raise ValueError(f"{bucket!r} is not a bucket")
    if not 0 < len(key.encode()) <= LONGEST_KEY:
        raise ValueError(f"a key has 1 to {LONGEST_KEY:,} bytes")
    if version and not (version.isascii() and version.isprintable() and "?" not in version):
        raise ValueError(f"{version!r} is not a version")
    return S3Object(bucket, key, version or None, bare_etag(etag), _size(row.get("size")))


def _size(size: Any) -> int | None:  # noqa: ANN401 - text in CSV, anything in JSON
    if size is None or size == "":
        return None
    try:
        return int(size)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{size!r} is not a size") from error
