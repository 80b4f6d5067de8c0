"""The objects of an S3 Inventory, which S3 writes each day or week: a manifest, and files of CSV or Parquet.

The format: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
import tempfile
from contextlib import closing, contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from intensity.sources.errors import SourceError
from intensity.sources.lists import UNREADABLE, opened
from intensity.sources.objects import heads, named, read_row
from intensity.sources.selection import DELETE_MARKERS, OLD_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object
    from intensity.sources.selection import Selection

# In bytes. A manifest names one file for about three million objects.
LONGEST_MANIFEST = 16_000_000
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
        files = [(f"s3://{bucket}/{part['key']}", part["MD5checksum"].lower()) for part in told["files"]]
        columns, form = heads(told["fileSchema"].split(",")), str(told["fileFormat"])
    except (*UNREADABLE, LookupError, TypeError, AttributeError) as error:
        raise SourceError(f"{manifest} is not the manifest of an S3 Inventory") from error
    if form not in {"CSV", "Parquet"}:
        raise SourceError(f"this inventory is written as {form}; CSV and Parquet can be read")
    for address, md5 in files:
        with _copy(s3, address, md5) as copy:
            try:
                for row in _csv_rows(copy, columns) if form == "CSV" else _parquet_rows(copy):
                    if (found := _current(row, selection)) and selection.takes(found.key, found.size):
                        yield found
            except UNREADABLE as error:
                reason = " ".join(str(error).split())
                raise SourceError(f"{address} is not a file of an S3 Inventory that can be read: {reason}") from error


@contextmanager
def _copy(s3: S3Client, address: str, md5: str) -> Iterator[IO[bytes]]:
    """Copy a file of the inventory to the temporary folder. Raises SourceError if it is not the one in the manifest."""
    with tempfile.NamedTemporaryFile() as copy:
        with opened(s3, address, unpack=False) as file:
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        if hashlib.file_digest(copy, partial(hashlib.md5, usedforsecurity=False)).hexdigest() != md5:
            raise SourceError(f"{address} is not the file of the manifest: its MD5 is another one")
        copy.seek(0)
        yield copy


def _csv_rows(copy: IO[bytes], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    with gzip.open(copy, "rt", encoding="utf-8", newline="") as lines:
        for cells in csv.reader(lines, strict=True):
            row = named(columns, cells)
            # Keys in CSV are URL-encoded, those in Parquet are not.
            yield row | {"key": unquote_plus(row["key"], errors="strict")} if "key" in row else row


def _parquet_rows(copy: IO[bytes]) -> Iterator[dict[str, Any]]:
    try:
        import duckdb  # noqa: PLC0415 - only Parquet needs it
    except ImportError as error:
        raise SourceError("a Parquet inventory needs the extra 'parquet' of image-intensity") from error
    try:
        with closing(duckdb.connect(config=PARQUET_SETTINGS)) as database:
            found = database.execute("SELECT * FROM read_parquet(?)", [copy.name])
            columns = heads(name for name, *_ in found.description or ())
            while rows := found.fetchmany(ROWS_AT_A_TIME):
                yield from (named(columns, row) for row in rows)
    except duckdb.Error as error:
        raise SourceError(f"a file of the inventory is no Parquet: {str(error).partition(chr(10))[0]}") from error


def _current(row: dict[str, Any], selection: Selection) -> S3Object | None:
    """Return the object of a row; count what is not one that is measured."""
    # Text in CSV, and a truth value in Parquet.
    if str(row.get("isdeletemarker")).lower() == "true":
        selection.skipped[DELETE_MARKERS] += 1
    elif str(row.get("islatest")).lower() == "false" and not selection.all_versions:
        selection.skipped[OLD_VERSIONS] += 1
    else:
        return read_row(row)
    return None
