"""Objects by name: a list that somebody made, as CSV or JSON lines, on this machine or in S3, also with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from intensity.sources.errors import SourceError, told
from intensity.sources.objects import LONGEST_KEY, S3Object, bare_etag, read_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from types_boto3_s3 import S3Client

    from intensity.sources.selection import Selection

# In bytes. A key of 1,024 bytes that is URL-encoded has 3,072.
LONGEST_LINE = 65_536
BUFFER_BYTES = 65_536
# Without a head, CSV is what S3 Batch Operations takes.
COLUMNS = ("bucket", "key", "version")
# How the fields may be spelled, in lower case, and what they are here.
SPELLINGS = {
    **{name: name for name in ("bucket", "key", "version", "etag", "size")},
    **dict.fromkeys(("versionid", "version_id"), "version"),
    "e_tag": "etag",
}


def listed(s3: S3Client, source: str, selection: Selection, *, url_encoded: bool = False) -> Iterator[S3Object]:
    """Yield the objects in a list, a file of this machine or "s3://bucket/key". Its name says what it is.

    CSV: a head with `key`, `bucket` and perhaps `version`, `etag` and `size`; or none, and lines of bucket, key and
    perhaps version; or lines of addresses, "s3://bucket/key". JSON lines: objects with these fields, or addresses as
    strings. url_encoded: keys are written as in a URL. Raises SourceError before it yields something wrong.
    """
    name = source.lower().removesuffix(".gz")
    rows = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(Path(name).suffix)
    if not rows:
        raise SourceError(f"the name of the list {source} must end with .csv or .jsonl, and perhaps .gz")
    decoded = partial(unquote_plus, errors="strict") if url_encoded else str
    last = 0
    try:
        with opened(s3, source) as file:
            for number, values in rows(_lines(file)):
                last = number
                if selection.takes(found := _object(values, decoded), named=True):
                    yield found
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise SourceError(f"{source} is not a list of objects, after line {last}: {_reason(error)}") from error


@contextmanager
def opened(s3: S3Client, source: str, *, unpack: bool = True) -> Iterator[IO[bytes]]:
    """Open a file of this machine or an object; `unpack` it if its name ends with .gz. Raises SourceError."""
    packed = unpack and source.lower().endswith(".gz")
    try:
        with _raw(s3, source) as raw:
            # gzip reads forwards only, as an object must be read.
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
    except (ClientError, BotoCoreError) as error:
        raise SourceError(f"cannot read {source}: {told(error)}") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"cannot read {source}: {reason}") from error


@contextmanager
def _raw(s3: S3Client, source: str) -> Iterator[IO[bytes]]:
    if not source.startswith("s3://"):
        with Path(source).open("rb") as file:
            yield file
        return
    try:
        bucket, key = read_uri(source)
    except ValueError as error:
        raise SourceError(str(error)) from error
    with closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        # On its own, it would read lines byte by byte.
        yield io.BufferedReader(cast("io.RawIOBase", body), BUFFER_BYTES)


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text. Raises ValueError."""
    encoding = "utf-8-sig"
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE:,} bytes")
        yield line.decode(encoding)
        # Only the first line can have the mark that Excel writes.
        encoding = "utf-8"


def _csv(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the number and the fields of each row below the head, if there is one."""
    reader = csv.reader(lines, strict=True)
    names: tuple[str, ...] = ()
    for cells in filter(None, reader):
        if not names:
            heads = tuple(cell.strip().lower() for cell in cells)
            names = heads if _is_head(heads) else COLUMNS
            if names is heads:
                continue
        if len(cells) == 1 and names is COLUMNS:
            yield reader.line_num, _address(cells[0])
        elif names is COLUMNS:
            if len(cells) > len(COLUMNS):
                raise ValueError("it has no head with the columns bucket and key, and more than three cells in a line")
            yield reader.line_num, dict(zip(COLUMNS, cells, strict=False))
        else:
            yield reader.line_num, dict(zip(names, cells, strict=True))


def _is_head(cells: Sequence[str]) -> bool:
    """Return whether the first line, in lower case, is a head. An object may have the key "key": bucket, key, version.

    Raises KeyError for what may be a head without a bucket.
    """
    if "key" not in cells:
        return False
    if "bucket" in cells:
        return True
    if cells[1:2] == ("key",) and not SPELLINGS.keys() & {cells[0], *cells[2:]}:
        return False
    raise KeyError("bucket")


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the number and the fields of each line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            values = json.loads(line)
            yield number, _address(values) if isinstance(values, str) else values


def _address(uri: str) -> dict[str, str]:
    """Return the fields of an object that is written as "s3://bucket/key". Raises ValueError."""
    return dict(zip(COLUMNS, read_uri(uri), strict=False))


def _object(values: Mapping[str, Any], decoded: Callable[[str], str]) -> S3Object:
    """Return the object with these fields; other fields do not matter. Raises one of many errors if there is none."""
    known = {SPELLINGS.get(name.lower()): value for name, value in values.items()}
    if not isinstance(known["key"], str):
        raise TypeError("a key is text")
    bucket, key, size = known["bucket"], decoded(known["key"]), known.get("size")
    # What S3 never gives would make names that mean two objects.
    if read_uri(f"s3://{bucket}/") != (bucket, ""):
        raise ValueError(f"{bucket!r} is not a bucket")
    version = known.get("version") or None
    if not 0 < len(key.encode()) <= LONGEST_KEY:
        raise ValueError(f"a key has 1 to {LONGEST_KEY:,} bytes")
    if version is not None and not (version.isascii() and version.isprintable() and "?" not in version):
        raise ValueError(f"{version!r} is not a version")
    return S3Object(bucket, key, version, bare_etag(known.get("etag")), None if size in {None, ""} else int(size))


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return " ".join(str(error).split())
