"""Which objects a source names: each as it was listed, and every one that is left out is counted."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import duckdb
import pytest

from intensity.sources.errors import SourceError
from intensity.sources.inventory import inventory
from intensity.sources.listing import prefix
from intensity.sources.lists import listed
from intensity.sources.objects import S3Object, read_name, read_uri
from intensity.sources.selection import Selection
from tests.sources.conftest import STRANGE, put

if TYPE_CHECKING:
    from pathlib import Path

    from types_boto3_s3 import S3Client

NOWHERE = "s3://photos/inventory/manifest.json"


def select(**choice: Any) -> Selection:  # noqa: ANN401 - of any field
    return Selection(**{"suffixes": frozenset({"png", "jpg"}), **choice})


# Names


@pytest.mark.parametrize("version", [None, "null", "abc"])
@pytest.mark.parametrize("key", [*STRANGE, "a?versionId=b", "?versionId=", "a?versionId=b?versionId="])
def test_a_name_says_bucket_key_and_version_and_nothing_else_has_it(key: str, version: str | None) -> None:
    named = S3Object("photos", key, version)
    assert read_name(named.name) == named
    assert named.name.startswith(f"s3://photos/{key}".encode())


@pytest.mark.parametrize("uri", ["photos/a", "s3:///a", "s3://", "s3://a b/c", "S3://photos/a", "s3://-photos/a"])
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        read_uri(uri)


# A prefix


def test_a_prefix_is_listed_over_all_its_pages_with_etag_and_size(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    expected = [put(s3, f"2024/{number:04}.png", b"x" * (number % 7)) for number in range(13)]
    put(s3, "2025/0.png")
    assert list(prefix(s3, "s3://photos/2024/", select())) == expected


def test_keys_of_every_kind_come_as_they_are(s3: S3Client) -> None:
    expected = sorted((put(s3, key) for key in STRANGE), key=lambda listed: listed.key.encode())
    assert list(prefix(s3, "s3://photos", select(hidden=True))) == expected


def test_what_is_not_taken_of_a_prefix_is_counted(s3: S3Client) -> None:
    for key in ("a.png", "b.JPG", "c.gif", "png", "dir/.d.png", ".e/f.png", "g/thumbs/h.png"):
        put(s3, key)
    for key in ("folder/", "folder.png/"):
        put(s3, key, b"")
    choice = select(exclude=("*/thumbs/*",))
    assert [found.key for found in prefix(s3, "s3://photos/", choice)] == ["a.png", "b.JPG"]
    assert choice.skipped == {"other_names": 2, "hidden_names": 2, "folder_markers": 2, "excluded": 1}


def test_hidden_names_are_taken_on_request_and_where_the_prefix_names_them(s3: S3Client) -> None:
    for key in (".a.png", ".b/c.png", ".b/.d.png"):
        put(s3, key)
    assert len(list(prefix(s3, "s3://photos/", select(hidden=True)))) == 3
    assert [found.key for found in prefix(s3, "s3://photos/.b/", select())] == [".b/c.png"]
    assert [found.key for found in prefix(s3, "s3://photos/.", select())] == [".a.png", ".b/c.png"]


def test_patterns_are_for_whole_keys_and_an_excluded_one_is_never_taken(s3: S3Client) -> None:
    for key in ("a/1.png", "a/2.dat", "b/1.dat", "a/2.dat.txt"):
        put(s3, key)
    choice = select(include=("a/*", "*.dat"), exclude=("*[2].dat",))
    assert [found.key for found in prefix(s3, "s3://photos", choice)] == ["a/1.png", "a/2.dat.txt", "b/1.dat"]
    assert choice.skipped == {"excluded": 1}


def test_versions_are_listed_on_request_without_delete_markers(s3: S3Client) -> None:
    first, second = (put(s3, "a.png", data, "versions") for data in (b"1", b"22"))
    gone = put(s3, "b.png", b"333", "versions")
    s3.delete_object(Bucket="versions", Key="b.png")
    choice = select(all_versions=True)
    assert sorted(prefix(s3, "s3://versions", choice)) == sorted([first, second, gone])
    assert choice.skipped == {"delete_markers": 1}
    current = second._replace(version=None)
    assert list(prefix(s3, "s3://versions", select())) == [current]


@pytest.mark.parametrize("uri", ["s3://not-there/a", "not-an-address"])
def test_a_prefix_that_cannot_be_listed_is_a_sentence(s3: S3Client, uri: str) -> None:
    with pytest.raises(SourceError, match=r"NoSuchBucket|is not an address"):
        list(prefix(s3, uri, select()))


# Lists


@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "list.jsonl", "list.ndjson.gz"])
@pytest.mark.parametrize("remote", [False, True])
def test_a_list_has_what_it_says_here_and_in_s3(s3: S3Client, tmp_path: Path, name: str, *, remote: bool) -> None:
    expected = [S3Object("photos", key, "v1" if key > "m" else None, "e" * 32, 5) for key in STRANGE]
    text = io.StringIO()
    for entry in expected if "json" in name else ():
        text.write(json.dumps({**entry._asdict(), "color": "red"}) + "\n\n")
    if "csv" in name:
        lines = csv.writer(text)
        lines.writerow(["Size", "Key", "bucket", "color", "VersionId", "ETag"])
        lines.writerows(
            [entry.size, entry.key, entry.bucket, "", entry.version, f'"{entry.etag}"'] for entry in expected
        )
    data = text.getvalue().encode("utf-8-sig")
    data = gzip.compress(data) if name.endswith(".gz") else data
    (tmp_path / name).write_bytes(data)
    s3.put_object(Bucket="photos", Key=name, Body=data)
    source = f"s3://photos/{name}" if remote else str(tmp_path / name)
    assert list(listed(s3, source, select())) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos,a.txt\r\nphotos,b.png,v2\r\n", [S3Object("photos", "a.txt"), S3Object("photos", "b.png", "v2")]),
        ("s3://photos/a,b.png\n", None),
        ('"s3://photos/a,b.png"\ns3://other/c\n', [S3Object("photos", "a,b.png"), S3Object("other", "c")]),
        ("bucket,key,size\nphotos,a.png,\n", [S3Object("photos", "a.png")]),
        # A key can be named just "key".
        ("photos,key\n", [S3Object("photos", "key")]),
        ("photos,KEY,v1\nphotos,a.png,v2\n", [S3Object("photos", "KEY", "v1"), S3Object("photos", "a.png", "v2")]),
        ("", []),
    ],
)
def test_a_list_without_a_head_is_bucket_key_and_version_or_addresses(
    s3: S3Client, tmp_path: Path, text: str, expected: list[S3Object] | None
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text)
    if expected is None:
        with pytest.raises(SourceError, match="'s3://photos/a' is not a bucket"):
            list(listed(s3, str(file), select()))
        return
    assert list(listed(s3, str(file), select())) == expected


def test_keys_of_a_list_are_decoded_only_on_request(s3: S3Client, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("".join(f"photos,{quote_plus(key)}\n" for key in STRANGE))
    assert [found.key for found in listed(s3, str(file), select(), url_encoded=True)] == STRANGE
    assert [found.key for found in listed(s3, str(file), select())] == [quote_plus(key) for key in STRANGE]


def test_a_list_is_taken_whatever_the_names_are_but_not_what_patterns_or_markers_exclude(
    s3: S3Client, tmp_path: Path
) -> None:
    file = tmp_path / "list.jsonl"
    keys = [("a", 1), (".b", 1), ("c/", 0), ("d/", 1), ("e/", None), ("f.png", 1)]
    file.write_text("".join(json.dumps({"bucket": "photos", "key": key, "size": size}) + "\n" for key, size in keys))
    choice = select(exclude=("f*",))
    assert [found.key for found in listed(s3, str(file), choice)] == ["a", ".b", "d/", "e/"]
    assert choice.skipped == {"folder_markers": 1, "excluded": 1}


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.txt", b"", "must end with .csv or .jsonl"),
        ("a.csv", b"key,size\na.png,1\n", "it has no bucket"),
        ("a.csv", b"size,key\n", "after line 0: it has no bucket"),
        ("a.csv", b"name,key,etag\nphotos,a.png,x\n", "it has no bucket"),
        ("a.csv", b"photos,a.png,key\n", "it has no bucket"),
        ("a.csv", b"bucket,key\nphotos\n", "after line 0: a row has 1 cells, and there are 2 columns"),
        ("a.csv", b"photos,a,b,c\n", "more than three cells"),
        ("a.csv", b"photos,\n", "a key has 1 to 1,024 bytes"),
        ("a.csv", b"photos," + b"a" * 1025, "a key has 1 to 1,024 bytes"),
        ("a.csv", b"pho/tos,a\n", "'pho/tos' is not a bucket"),
        ("a.csv", b"pho tos,a\n", "'pho tos' is not a bucket"),
        ("a.csv", b"photos,a\nphotos,\xff\n", "after line 1: 'utf-8' codec can't decode"),
        ("a.csv", b"photos," + b"a" * 70_000, "a line has more than 65,536 bytes"),
        ("a.csv", b'photos,"a\n', "unexpected end of data"),
        ("a.csv", b"bucket,key,version\nphotos,a,b?c\n", "'b?c' is not a version"),
        ("a.csv", b"bucket,key,size\nphotos,a,large\n", "'large' is not a size"),
        ("a.csv", b"bucket,key,Key\nphotos,a,b\n", "it has the column key twice"),
        ("a.jsonl", b"[]\n", "a line is neither an object nor an address"),
        ("a.jsonl", b"[" * 60_000 + b"\n", "recursion"),
        ("a.jsonl", b'{"bucket": "photos", "key": "a", "size": Infinity}\n', "inf is not a size"),
        ("a.jsonl", b'{"bucket": "photos", "key": "a", "size": []}\n', "is not a size"),
        ("a.jsonl", b'{"bucket": "photos", "key": "a", "etag": 5}\n', "5 is not text"),
        ("a.jsonl", b'{"bucket": {}, "key": "a", "versionId": [1]}\n', "is not text"),
        ("a.jsonl", b'{"bucket": "photos", "key": null}\n', "it has no key"),
        ("a.jsonl", b'{"bucket": "photos", "key": "\\ud800"}\n', "surrogates not allowed"),
        ("a.jsonl", b"{\n", "after line 0"),
        ("a.csv.gz", b"photos,a\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"photos,a\n" * 99, mtime=0)[:-9], "ended before the end"),
    ],
)
def test_a_list_with_something_else_in_it_is_refused_with_a_sentence(
    s3: S3Client, tmp_path: Path, name: str, data: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=sentence.replace("?", r"\?")) as error:
        list(listed(s3, str(tmp_path / name), select()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["nowhere.csv", "s3://photos/nowhere.csv", "s3://nowhere/list.csv"])
def test_a_list_that_is_not_there_is_a_sentence(s3: S3Client, source: str) -> None:
    with pytest.raises(SourceError, match=f"cannot read {source}: "):
        list(listed(s3, source, select()))


# An inventory

SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
ENTRIES: list[list[Any]] = [
    *([key, "v1", True, False, 5, "e" * 32] for key in STRANGE),
    ["old.png", "v2", False, False, 5, "e" * 32],
    ["gone.png", "v3", True, True, None, None],
    ["text.txt", "v4", True, False, 5, "e" * 32],
    ["folder/", "null", True, False, 0, "e" * 32],
]


def manifest(s3: S3Client, data: list[bytes], suffix: str, **fields: Any) -> str:  # noqa: ANN401 - JSON
    """Write an inventory with these files; the address of its manifest."""
    files = []
    for number, content in enumerate(data):
        key = f"inventory/data/{number}.{suffix}"
        s3.put_object(Bucket="versions", Key=key, Body=content)
        files.append({"key": key, "size": len(content), "MD5checksum": hashlib.md5(content).hexdigest()})  # noqa: S324 - S3's
    told = {"sourceBucket": "photos", "destinationBucket": "arn:aws:s3:::versions", "version": "2016-11-30"}
    told.update({"fileFormat": "CSV", "fileSchema": SCHEMA, "files": files, **fields})  # type: ignore[dict-item]
    s3.put_object(Bucket="photos", Key="inventory/manifest.json", Body=json.dumps(told))
    return NOWHERE


def csv_inventory() -> list[bytes]:
    """Two files as S3 writes them: every cell in quotation marks, keys URL-encoded, no head."""
    text = io.StringIO()
    for key, version, latest, marker, size, etag in ENTRIES:
        cells = [version, str(latest).lower(), str(marker).lower(), size, "2026-11-26T00:00:00.000Z", etag, "STANDARD"]
        csv.writer(text, quoting=csv.QUOTE_ALL).writerow(["photos", quote_plus(str(key)), *cells])
    lines = text.getvalue().encode().splitlines(keepends=True)
    return [gzip.compress(b"".join(lines[:3])), gzip.compress(b"".join(lines[3:]))]


def parquet_inventory(folder: Path) -> list[bytes]:
    """The same as Parquet, where keys are as they are."""
    columns = "key VARCHAR, version_id VARCHAR, is_latest BOOLEAN, is_delete_marker BOOLEAN, size BIGINT, e_tag VARCHAR"
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE listed ({columns})")
        database.executemany("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?)", ENTRIES)
        database.execute(f"COPY (SELECT 'photos' AS bucket, * FROM listed) TO '{folder}/a.parquet'")  # noqa: S608 - the test's own
    return [(folder / "a.parquet").read_bytes()]


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_an_inventory_has_the_current_versions_and_counts_the_rest(s3: S3Client, tmp_path: Path, kind: str) -> None:
    files = csv_inventory() if kind == "CSV" else parquet_inventory(tmp_path)
    address = manifest(s3, files, "x", fileFormat=kind)
    expected = [S3Object("photos", key, "v1", "e" * 32, 5) for key in STRANGE]
    choice = select(hidden=True)
    assert list(inventory(s3, address, choice)) == expected
    assert choice.skipped == {"old_versions": 1, "delete_markers": 1, "other_names": 1, "folder_markers": 1}
    everything = list(inventory(s3, address, select(hidden=True, all_versions=True)))
    assert everything == [*expected, S3Object("photos", "old.png", "v2", "e" * 32, 5)]


def test_an_inventory_without_versions_has_objects_without_them(s3: S3Client) -> None:
    address = manifest(s3, [gzip.compress(b'"photos","a.png"\n')], "csv.gz", fileSchema="Bucket, Key")
    assert list(inventory(s3, address, select())) == [S3Object("photos", "a.png")]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"fileFormat": "ORC"}, "written as ORC; CSV and Parquet can be read"),
        ({"fileFormat": "Parquet"}, "is no Parquet"),
        ({"fileSchema": "Bucket, Key"}, "a row has 9 cells, and there are 2 columns"),
        ({"fileSchema": SCHEMA.replace("Bucket", "Place")}, "data/0.x is not a file of an .* read: it has no bucket"),
        ({"fileSchema": SCHEMA.replace("Key", "Name")}, "it has no key"),
        ({"fileSchema": SCHEMA.replace("VersionId", "Key")}, "is not the manifest of an S3 Inventory"),
        ({"files": None}, "is not the manifest of an S3 Inventory"),
        ({"files": [{"key": "nowhere", "MD5checksum": "0"}]}, "NoSuchKey"),
        ({"files": [{"key": "inventory/data/0.x", "MD5checksum": "0"}]}, "its MD5 is another one"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_a_sentence(s3: S3Client, fields: dict[str, Any], sentence: str) -> None:
    address = manifest(s3, csv_inventory(), "x", **fields)
    with pytest.raises(SourceError, match=sentence):
        list(inventory(s3, address, select()))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no gzip", "Not a gzipped file"),
        (gzip.compress(b"photos,a.png\n" * 99, mtime=0)[:-9], "ended before the end"),
        (gzip.compress(b"photos,\xff\n", mtime=0), "can't decode byte"),
        (gzip.compress(b"photos,%ff\n", mtime=0), "can't decode byte"),
        (gzip.compress(b'photos,"a\n', mtime=0), "unexpected end of data"),
        (gzip.compress(b"photos,\n", mtime=0), "a key has 1 to 1,024 bytes"),
        (gzip.compress(b"pho/tos,a\n", mtime=0), "'pho/tos' is not a bucket"),
    ],
)
def test_a_damaged_file_of_an_inventory_is_a_sentence(s3: S3Client, data: bytes, sentence: str) -> None:
    address = manifest(s3, [data], "csv.gz", fileSchema="Bucket, Key")
    with pytest.raises(SourceError, match=f"s3://versions/inventory/data/0.csv.gz is not a file .*{sentence}"):
        list(inventory(s3, address, select()))


def test_a_parquet_inventory_without_a_column_is_a_sentence(s3: S3Client, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    duckdb.execute(f"COPY (SELECT 'photos' AS bucket, 5 AS size) TO '{file}'")
    address = manifest(s3, [file.read_bytes()], "parquet", fileFormat="Parquet")
    with pytest.raises(SourceError, match="it has no key"):
        list(inventory(s3, address, select()))


def test_what_is_no_manifest_is_a_sentence(s3: S3Client) -> None:
    for body in (b"[]", b"{}", b"\xff", b"", b"[" * 100_000):
        s3.put_object(Bucket="photos", Key="inventory/manifest.json", Body=body)
        with pytest.raises(SourceError, match="is not the manifest of an S3 Inventory"):
            list(inventory(s3, NOWHERE, select()))
