"""Objects by name: a list that somebody made, as CSV or JSON lines, on this machine or in S3, also with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from intensity.sources.errors import SourceError, told
from intensity.sources.objects import KNOWN, heads, located, named, read_row, read_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object
    from intensity.sources.selection import Selection

# In bytes. A key of 1,024 bytes that is URL-encoded has 3,072.
LONGEST_LINE = 65_536
BUFFER_BYTES = 65_536
# Without a head, CSV is what S3 Batch Operations takes.
COLUMNS = ("bucket", "key", "version")
# What reading text of somebody else's raises where it is not what its name says.
UNREADABLE = (ValueError, csv.Error, RecursionError, EOFError, zlib.error, gzip.BadGzipFile)


def listed(s3: S3Client, source: str, selection: Selection, *, url_encoded: bool = False) -> Iterator[S3Object]:
    """Yield the objects in a list, a file of this machine or "s3://bucket/key". Its name says what it is.

    CSV: a head with `key`, `bucket` and perhaps `version`, `etag` and `size`; or none, and lines of bucket, key and
    perhaps version; or lines of addresses, "s3://bucket/key". JSON lines: objects with these fields, or addresses as
    strings. url_encoded: keys are written as in a URL. Raises SourceError before it yields something wrong.
    """
    name = Path(source.lower().removesuffix(".gz"))
    rows = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(name.suffix)
    if not rows:
        raise SourceError(f"the name of the list {source} must end with .csv or .jsonl, and perhaps .gz")
    last = 0
    try:
        with opened(s3, source) as file:
            for number, values in rows(_lines(file)):
                last = number
                if url_encoded and isinstance(values.get("key"), str):
                    values["key"] = unquote_plus(values["key"], errors="strict")
                found = read_row(values)
                if selection.takes(found.key, found.size, named=True):
                    yield found
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{source} is not a list of objects, after line {last}: {reason}") from error


@contextmanager
def opened(s3: S3Client, source: str, *, unpack: bool = True) -> Iterator[IO[bytes]]:
    """Open a file of this machine or an object; `unpack` it if its name ends with .gz. Raises SourceError."""
    packed = unpack and source.lower().endswith(".gz")
    try:
        if source.startswith("s3://"):
            bucket, key = located(source)
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            # On its own, it would read lines byte by byte.
            raw: IO[bytes] = io.BufferedReader(cast("io.RawIOBase", body), BUFFER_BYTES)
        else:
            raw = Path(source).open("rb")  # noqa: SIM115 - it is closed below
        with raw:
            # gzip reads forwards only, as an object must be read.
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
    except (ClientError, BotoCoreError) as error:
        raise SourceError(f"cannot read {source}: {told(error)}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text. Raises ValueError."""
    encoding = "utf-8-sig"
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE:,} bytes")
        yield line.decode(encoding)
        # Only the first line can have the mark that Excel writes.
        encoding = "utf-8"


def _csv(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the fields of each row below the head, if there is one."""
    reader = csv.reader(lines, strict=True)
    head: list[str] | None = None
    for cells in filter(None, reader):
        if head is None and (head := _head(heads(cells))):
            continue
        if head:
            yield reader.line_num, named(head, cells)
        elif len(cells) == 1:
            yield reader.line_num, _address(cells[0])
        elif len(cells) <= len(COLUMNS):
            yield reader.line_num, dict(zip(COLUMNS, cells, strict=False))
        else:
            raise ValueError("it has no head with the columns bucket and key, and more than three cells in a line")


def _head(first: list[str]) -> list[str]:
    """Return the columns of the first line if it is a head, and none otherwise: an object may have the key "key".

    Raises ValueError for what may be a head without a bucket.
    """
    if "bucket" in first and "key" in first:
        return first
    if "key" in first and (first[1:2] != ["key"] or KNOWN & {first[0], *first[2:]}):
        raise ValueError("it has no bucket")
    return []


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the fields of each line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            values = json.loads(line)
            if isinstance(values, str):
                yield number, _address(values)
            elif isinstance(values, dict):
                yield number, named(heads(values), [*values.values()])
            else:
                raise ValueError("a line is neither an object nor an address")


def _address(uri: str) -> dict[str, Any]:
    """Return the fields of an object that is written as "s3://bucket/key". Raises ValueError."""
    return dict(zip(COLUMNS, read_uri(uri), strict=False))
