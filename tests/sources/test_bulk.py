"""`intensity bulk` on a real store: the rows of the folder command, one for each object that is listed."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import boto3
import duckdb
import pytest

from intensity import names
from intensity.cli import main
from intensity.sources.objects import read_name
from tests.cli.command import (
    COMMAND,
    csv_rows,
    folder_of,
    image,
    intensity,
    json_rows,
    on_terminal,
    started,
    sums,
)
from tests.core.samples import encoded, pixels
from tests.local_aws import KEYS
from tests.sources.conftest import STRANGE

if TYPE_CHECKING:
    from pathlib import Path

    from types_boto3_s3 import S3Client

BULK = [*COMMAND, "bulk"]


@pytest.fixture
def s3(aws: None) -> S3Client:  # noqa: ARG001 - the environment
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: S3Client, tmp_path: Path) -> str:
    """A bucket of the test's own."""
    name = f"photos-{hashlib.sha256(os.fsencode(tmp_path)).hexdigest()[:20]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


def upload(s3: S3Client, bucket: str, folder: Path) -> None:
    """Put the files of a folder into a bucket, under their paths in it."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            s3.put_object(Bucket=bucket, Key=str(file.relative_to(folder)), Body=file.read_bytes())


@pytest.mark.parametrize(
    ("form", "detail"),
    [("csv", []), ("parquet", []), ("jsonl", ["--detail", "full", "--luma", "bt709", "--region", "1,2,20,30"])],
)
def test_the_rows_are_those_of_the_folder_command_byte_for_byte(
    s3: S3Client, bucket: str, tmp_path: Path, form: str, detail: list[str]
) -> None:
    folder = folder_of(tmp_path / "images", 20)
    (folder / "more").mkdir()
    for mode in ("L", "LA", "P", "I;16"):
        (folder / "more" / f"{mode.replace(';', '-')}.png").write_bytes(encoded(pixels(mode), "PNG"))
    (folder / "more/CMYK.jpg").write_bytes(encoded(pixels("CMYK"), "JPEG"))
    (folder / "damaged.png").write_bytes(image(1)[:-30])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("text")
    (folder / "small.png").write_bytes(image(1, (4, 4)))
    (folder / "notes.txt").write_text("not taken")
    upload(s3, bucket, folder)
    here, there = tmp_path / f"here.{form}", tmp_path / f"there.{form}"
    # From the folder, so that the paths are the keys.
    of_folder = intensity(*sorted(path.name for path in folder.iterdir()), "-o", here, *detail, cwd=folder)
    of_bucket = intensity("bulk", f"s3://{bucket}", "-o", there, *detail, "-j", "2")
    assert of_bucket.returncode == of_folder.returncode == 1
    assert sums(of_bucket.stderr).startswith("29 objects: ")
    assert "Not taken: 1 object with another name." in of_bucket.stderr
    if form == "parquet":
        short = "SELECT * REPLACE (replace(path, ?, '') AS path) FROM read_parquet(?)"
        read = f"{short} WHERE path NOT LIKE '%notes.txt' ORDER BY 1"
        rows = [duckdb.execute(read, [f"s3://{bucket}/", str(file)]).fetchall() for file in (here, there)]
        assert rows[0] == rows[1]
        return
    expected = [line for line in here.read_text().splitlines() if "notes.txt" not in line]
    assert sorted(there.read_text().replace(f"s3://{bucket}/", "").splitlines()) == sorted(expected)


def test_keys_of_every_kind_have_one_line_and_can_be_read_back(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    for key in STRANGE:
        s3.put_object(Bucket=bucket, Key=key, Body=image(3))
    assert intensity("bulk", f"s3://{bucket}/", "--hidden", "-o", tmp_path / "a.csv").returncode == 0
    rows = csv_rows((tmp_path / "a.csv").read_text())
    read = [read_name(names.read(row["path"])) for row in rows]
    assert [(each.bucket, each.key, each.version) for each in read] == [
        (bucket, key, None) for key in sorted(STRANGE, key=str.encode)
    ]
    assert len({row["sha256"] for row in rows}) == 1
    again = intensity("bulk", f"s3://{bucket}/", "--hidden", "-o", tmp_path / "a.csv", "--resume")
    assert sums(again.stderr).startswith("8 objects: 8 measured (8 of them before). ")


def test_all_kinds_of_sources_together_have_one_row_for_each_object(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    for key in ("a/1.png", "a/2.png", "b/3.png", "c/4", "d/5.png", "d/6.png"):
        s3.put_object(Bucket=bucket, Key=key, Body=image(ord(key[2])))
    s3.put_object(Bucket=bucket, Key="a/", Body=b"")
    # Its list does not say that it is larger than what is read ahead then.
    large = encoded(pixels("RGB", (2000, 1500)), "PNG")
    assert len(large) > 8_000_000
    s3.put_object(Bucket=bucket, Key="large", Body=large)
    (tmp_path / "list.csv").write_text(f"{bucket},c%2F4\n{bucket},large\n{bucket},a%2F1.png\n{bucket},gone.png\n")
    listed = s3.head_object(Bucket=bucket, Key="d/5.png")
    entries = [("d/5.png", listed["ETag"]), ("d/6.png", '"another"')]
    data = gzip.compress("".join(f'"{bucket}","{quote_plus(key)}",{etag}\n' for key, etag in entries).encode())
    s3.put_object(Bucket=bucket, Key="inventory/1.csv.gz", Body=data)
    files = [{"key": "inventory/1.csv.gz", "MD5checksum": hashlib.md5(data).hexdigest()}]  # noqa: S324 - S3's
    manifest = {"destinationBucket": f"arn:aws:s3:::{bucket}", "fileFormat": "CSV", "files": files}
    manifest["fileSchema"] = "Bucket, Key, ETag"
    s3.put_object(Bucket=bucket, Key="manifest.json", Body=json.dumps(manifest))
    result = intensity(
        *("bulk", f"s3://{bucket}/a/", "--from", tmp_path / "list.csv", "--url-encoded", f"s3://{bucket}/b/"),
        *("--inventory", f"s3://{bucket}/manifest.json", "--format", "jsonl"),
    )
    rows = [(row["path"].removeprefix(f"s3://{bucket}/"), row["code"]) for row in json_rows(result.stdout)]
    assert rows == [
        *[("a/1.png", None), ("a/2.png", None), ("b/3.png", None)],
        *[("c/4", None), ("large", None), ("gone.png", "object_missing")],
        *[("d/5.png", None), ("d/6.png", "object_changed")],
    ]
    *_, not_taken, last = result.stderr.splitlines()
    assert not_taken == "Not taken: 1 folder marker, 1 name a second time."
    assert last.startswith("8 objects: 6 measured; 2 without a number: 1 not found, 1 changed meanwhile. ")
    assert result.returncode == 1


def test_versions_are_measured_each_and_told_apart(s3: S3Client, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket=bucket, Key="a.png", Body=image(seed))["VersionId"] for seed in (1, 2)]
    s3.delete_object(Bucket=bucket, Key="a.png")
    result = intensity("bulk", f"s3://{bucket}", "--all-versions", "--format", "jsonl")
    rows = {row["path"]: row["sha256"] for row in json_rows(result.stdout)}
    assert rows == {
        f"s3://{bucket}/a.png?versionId={version}": hashlib.sha256(image(seed)).hexdigest()
        for version, seed in zip(versions, (1, 2), strict=True)
    }
    assert "1 delete marker" in result.stderr
    nothing = intensity("bulk", f"s3://{bucket}")
    assert (nothing.returncode, nothing.stderr) == (1, "No images were found.\n")


def test_on_a_terminal_there_is_a_bar_that_reaches_the_end(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    upload(s3, bucket, folder_of(tmp_path / "images", 30))
    shown = on_terminal([*BULK, f"s3://{bucket}", "-o", tmp_path / "a.csv"], 100)
    assert "Listing: " in shown
    assert "30/30 objects" in shown
    assert "30 objects: 30 measured" in shown


def test_the_store_and_the_credentials_are_those_of_the_command_line(
    s3: S3Client, bucket: str, tmp_path: Path, local_aws: str
) -> None:
    upload(s3, bucket, folder_of(tmp_path / "images", 3))
    # Neither credentials nor a store, and no machine whose role could be asked.
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    command = ["bulk", f"s3://{bucket}", "--endpoint-url", local_aws]
    nobody = intensity(*command, env=bare)
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "Unable to locate credentials" in nobody.stderr
    assert intensity(*command, "--no-sign-request", env=bare).returncode == 0
    (tmp_path / ".aws").mkdir()
    keys = "[of-the-test]\naws_access_key_id = test\naws_secret_access_key = test\n"
    (tmp_path / ".aws/credentials").write_text(keys)
    assert intensity(*command, "--profile", "of-the-test", env=bare).returncode == 0
    assert intensity(*command, env={**bare, "AWS_PROFILE": "of-the-test"}).returncode == 0
    # A list needs no listing. So only the measuring processes find out.
    (tmp_path / "list.csv").write_text("".join(f"{bucket},{number:04}.png\n" for number in range(3)))
    of_list = intensity("bulk", "--from", tmp_path / "list.csv", "--endpoint-url", local_aws, env=bare)
    assert of_list.returncode == 1
    assert of_list.stderr.splitlines()[-1] == "intensity: S3 cannot be read: Unable to locate credentials"


def test_a_signal_ends_a_listing_that_gets_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, **KEYS}
        with started("bulk", "s3://photos", "--endpoint-url", address, env=environment) as process:
            silent.settimeout(30)
            connection, _ = silent.accept()
            process.terminate()
            _, messages = process.communicate(timeout=60)
            connection.close()
    assert (process.returncode, messages) == (143, "intensity: stopped before the first object was measured\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give s3://BUCKET/PREFIX, --from LIST or --inventory MANIFEST"),
        (["photos/"], "'photos/' is not an address such as s3://bucket/prefix"),
        (["s3://photos", "--url-encoded"], "--url-encoded is for --from LIST"),
        (["s3://photos", "--profile", "a", "--no-sign-request"], "contradict each other"),
        (["s3://photos", "--resume"], "--resume and --retry-problems need -o FILE"),
        (["s3://not-there"], "cannot list s3://not-there: NoSuchBucket"),
        (["--from", "nowhere.csv"], "cannot read nowhere.csv: No such file or directory"),
        (["s3://photos", "--profile", "nobody"], "cannot use S3: The config profile (nobody) could not be found"),
        (["s3://photos", "--endpoint-url", "nowhere"], "cannot use S3: Invalid endpoint: nowhere"),
        (["s3://photos", "--endpoint-url", "http://127.0.0.1:9"], "Could not connect to the endpoint"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_what_cannot_be_listed_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    result = intensity("bulk", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_without_the_extra_a_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)  # as Python marks what is not there
    assert main(["bulk", "s3://photos"]) == 2
    sentence = f"intensity: this needs the extra 's3': {sys.executable} -m pip install botocore\n"
    assert capsys.readouterr() == ("", sentence)
