"""The objects of an S3 Inventory, which S3 writes each day or week: a manifest, and files of CSV or Parquet.

The format: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import tempfile
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from intensity.sources.errors import SourceError
from intensity.sources.lists import opened
from intensity.sources.objects import S3Object, bare_etag
from intensity.sources.selection import DELETE_MARKERS, OLD_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_s3 import S3Client

    from intensity.sources.selection import Selection

# In bytes. A manifest names one file for about three million objects.
LONGEST_MANIFEST = 16_000_000
COPY_BYTES = 1 << 20
ROWS_AT_A_TIME = 1000
PARQUET_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1}


def inventory(s3: S3Client, manifest: str, selection: Selection) -> Iterator[S3Object]:
    """Yield the objects in an inventory. Raises SourceError.

    manifest: the address of its manifest.json. Its files are in the bucket that it names. Each is copied to the
    temporary folder and compared with its MD5 in the manifest before it is read.
    """
    try:
        with opened(s3, manifest) as file:
            told = json.loads(file.read(LONGEST_MANIFEST))
        bucket = told["destinationBucket"].rpartition(":::")[2]
        columns = [name.strip() for name in told["fileSchema"].split(",")]
        for part in told["files"]:
            with _copy(s3, f"s3://{bucket}/{part['key']}", part["MD5checksum"]) as copy:
                for values in _rows(told["fileFormat"], copy, columns):
                    yield from _taken(values, selection)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise SourceError(f"{manifest} is not an S3 Inventory that can be read: {error!r}") from error


@contextmanager
def _copy(s3: S3Client, address: str, md5: str) -> Iterator[IO[bytes]]:
    """Copy a file of the inventory to the temporary folder. Raises SourceError if it is not the one in the manifest."""
    digest = hashlib.md5(usedforsecurity=False)
    with tempfile.NamedTemporaryFile() as copy:
        with opened(s3, address, unpack=False) as file:
            while piece := file.read(COPY_BYTES):
                digest.update(piece)
                copy.write(piece)
        if digest.hexdigest() != md5.lower():
            raise SourceError(f"{address} is not the file of the manifest: its MD5 is another one")
        copy.seek(0)
        yield copy


def _rows(file_format: str, copy: IO[bytes], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, by the names of CSV in lower case. Raises SourceError for a format that is not read."""
    if file_format == "CSV":
        with gzip.open(copy, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines, strict=True):
                values = _named(columns, row)
                # Keys in CSV are URL-encoded, those in Parquet are not.
                yield {**values, "key": unquote_plus(values["key"], errors="strict")}
    elif file_format == "Parquet":
        yield from _parquet_rows(copy.name)
    else:
        raise SourceError(f"this inventory is written as {file_format}; CSV and Parquet can be read")


def _parquet_rows(file: str) -> Iterator[dict[str, Any]]:
    try:
        import duckdb  # noqa: PLC0415 - only Parquet needs it
    except ImportError as error:
        raise SourceError("a Parquet inventory needs the extra 'parquet' of image-intensity") from error
    try:
        with closing(duckdb.connect(config=PARQUET_SETTINGS)) as database:
            found = database.execute("SELECT * FROM read_parquet(?)", [file])
            names = [name for name, *_ in found.description or ()]
            while rows := found.fetchmany(ROWS_AT_A_TIME):
                yield from (_named(names, row) for row in rows)
    except duckdb.Error as error:
        raise SourceError(f"a file of the inventory is no Parquet: {str(error).partition(chr(10))[0]}") from error


def _named(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by the names of its columns. Parquet has `version_id` where CSV has `VersionId`."""
    return dict(zip((name.lower().replace("_", "") for name in columns), row, strict=True))


def _taken(values: Mapping[str, Any], selection: Selection) -> Iterator[S3Object]:
    """Yield the object of a row if it is to be measured; count it otherwise."""
    if _is(values.get("isdeletemarker"), "true"):
        selection.skipped[DELETE_MARKERS] += 1
    elif _is(values.get("islatest"), "false") and not selection.all_versions:
        selection.skipped[OLD_VERSIONS] += 1
    else:
        version, size = values.get("versionid") or None, values.get("size")
        size = None if size in {None, ""} else int(size)
        listed = S3Object(values["bucket"], values["key"], version, bare_etag(values.get("etag")), size)
        if selection.takes(listed):
            yield listed


def _is(value: Any, text: str) -> bool:  # noqa: ANN401 - text in CSV, a truth value in Parquet
    """Return whether a value is the truth value that `text` names."""
    return str(value).lower() == text
