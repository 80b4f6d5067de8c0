"""A whole run with S3 in memory: one row for each listed object, whatever happens to it."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from botocore.exceptions import EndpointConnectionError

from image_intensity import Options
from intensity.rows import BASE_COLUMNS
from intensity.runs.layout import RunError
from intensity.runs.options import RunOptions
from intensity.runs.request import USUAL_CONCURRENCY, Request, children
from intensity.sources.errors import SourceError
from intensity.sources.listing import Source
from runs.measure import OtherVersionError
from runs.reduce import RowsMissingError
from tests.runs.conftest import PHOTOS, RESULTS, SIZE, one_by_one, request
from tests.runs.images import gray

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from tests.runs.conftest import Run

    Upload = Callable[..., None]

# Some have the same content.
MANY = {f"many/{number:04d}.png": number % 9 for number in range(2 * SIZE + 2)}


def test_every_listed_object_has_one_row_with_its_number_in_all_forms(run: Run, upload: Upload, tmp_path: Path) -> None:
    upload(MANY)
    summary = run.whole(request())
    rows = {row["path"]: row["average_intensity"] for row in run.rows("first")}
    assert rows == {f"s3://{PHOTOS}/{key}": value for key, value in MANY.items()}
    assert summary["total"] == summary["measured"] == len(MANY)
    table = list(csv.DictReader(io.StringIO(run.read("runs/first/results.csv").decode())))
    assert list(table[0]) == [column.name for column in BASE_COLUMNS]
    assert [(row["path"], float(row["average_intensity"])) for row in table] == [*rows.items()]
    for key in ("runs/first/results.parquet", "runs/first/rows/results.parquet"):
        file = tmp_path / "results.parquet"
        file.write_bytes(run.read(key))
        assert duckdb.read_parquet(str(file)).project("path, average_intensity").fetchall() == [*rows.items()]


def test_the_histogram_is_there_on_request(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    run.whole(request(options=RunOptions(detail="full")))
    (row,) = run.rows("first")
    assert row["histogram"][10] == 12
    assert row["statistics"]["maximum"] == 10


def test_what_is_wrong_with_an_object_is_in_its_row(run: Run, upload: Upload, s3: S3Client) -> None:
    upload({"changed.png": 10, "gone.png": 20, "sound.png": 30})
    upload({"archived.png": 40}, StorageClass="GLACIER")
    s3.put_object(Bucket=PHOTOS, Key="damaged.png", Body=gray(50)[:-20])
    s3.put_object(Bucket=PHOTOS, Key="empty.png", Body=b"")
    planned = run.planned(request())
    upload({"changed.png": 11})
    s3.delete_object(Bucket=PHOTOS, Key="gone.png")
    run.measured(planned)
    summary = run.reduced(planned)
    codes = {row["path"].removeprefix(f"s3://{PHOTOS}/"): row["code"] for row in run.rows("first")}
    assert codes == {
        "archived.png": "object_archived",
        "changed.png": "object_changed",
        "damaged.png": "corrupt_image",
        "empty.png": "empty_file",
        "gone.png": "object_missing",
        "sound.png": None,
    }
    assert sum(summary["problems"].values()) == 5
    assert summary["measured"] == 1


def test_a_version_that_was_listed_is_the_one_that_is_measured(run: Run, upload: Upload, s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=PHOTOS, VersioningConfiguration={"Status": "Enabled"})
    upload({"a.png": 10})
    upload({"a.png": 20})
    run.whole(request(all_versions=True))
    assert sorted(row["average_intensity"] for row in run.rows("first")) == [10, 20]
    assert all("?versionId=" in row["path"] for row in run.rows("first"))


def test_a_crash_costs_one_row_and_what_has_no_part_gets_rows_that_say_so(run: Run, upload: Upload) -> None:
    upload(MANY)
    planned = run.planned(request())
    first, second, third = run.todo(planned)
    singles = one_by_one(first)
    run.measured(planned, [third, *singles[:2], *singles[3:]])
    summary = run.reduced(planned)
    rows = run.rows("first")
    failed = [number for number, row in enumerate(rows) if row["code"]]
    assert failed == [2, *range(SIZE, 2 * SIZE)]
    assert summary["problems"] == {"processor_failed": 1 + len(second["objects"])}
    assert len({row["path"] for row in rows}) == summary["total"] == len(MANY)


def test_no_row_says_for_good_that_s3_was_in_trouble(
    run: Run, upload: Upload, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload({"a.png": 10})
    planned, get = run.planned(request()), s3.get_object
    todo = run.todo(planned)

    def nowhere(**asked: Any) -> Any:  # noqa: ANN401 - boto3's
        if asked["Bucket"] == PHOTOS:
            raise EndpointConnectionError(endpoint_url="http://s3.example")
        return get(**asked)

    monkeypatch.setattr(s3, "get_object", nowhere)
    with pytest.raises(SourceError):
        run.measured(planned, todo)
    assert run.keys("work/first/parts/") == []


def test_a_resumed_run_measures_only_what_has_no_part(run: Run, upload: Upload) -> None:
    upload(MANY)
    planned = run.planned(request())
    first, second, third = run.todo(planned)
    run.measured(planned, [second, *one_by_one(first)[:2]])
    again = run.planned(Request(run="first", resume=True), "first_2")
    left = run.todo(again)
    assert [(batch["n"], batch["single"], len(batch["objects"])) for batch in left] == [
        (0, True, 1),
        (0, True, 1),
        (2, False, len(third["objects"])),
    ]
    assert sum(part["measured"] for part in run.measured(again)) == 2 + len(third["objects"])
    assert run.reduced(again)["measured"] == len(MANY)


def test_a_batch_that_comes_twice_is_measured_once(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    planned = run.planned(request())
    answers = run.measured(planned) + run.measured(planned)
    assert [answer["measured"] for answer in answers] == [1, 0]


def test_an_earlier_run_gives_its_rows_for_what_has_not_changed(run: Run, upload: Upload, s3: S3Client) -> None:
    upload(MANY)
    s3.put_object(Bucket=PHOTOS, Key="damaged.png", Body=gray(50)[:-20])
    run.whole(request())
    upload({"many/0007.png": 99, "new.png": 100})
    planned = run.planned(request("second", since="first"))
    assert sum(part["measured"] for part in run.measured(planned)) == 2
    summary = run.reduced(planned)
    # Of the rows that were taken, one has no number.
    assert summary["reused"] == len(MANY) - 1
    numbers = {row["path"].rpartition("/")[2]: row["average_intensity"] for row in run.rows("second")}
    assert (numbers["0007.png"], numbers["new.png"], numbers["0008.png"]) == (99, 100, 8)
    assert numbers["damaged.png"] is None


def test_an_earlier_run_of_another_method_gives_no_rows(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    run.whole(request())
    with pytest.raises(RunError, match="other options"):
        run.planned(request("second", since="first", options=RunOptions(measuring=Options(luma="mean"))))
    with pytest.raises(RunError, match="no results"):
        run.planned(request("second", since="unknown"))


def test_parts_of_another_version_are_never_taken(run: Run, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    upload({"a.png": 10})
    planned = run.planned(request())
    run.measured(planned)
    monkeypatch.setattr("runs.plan.version", lambda _: "3+pillow-99")
    again = run.planned(Request(run="first", resume=True), "first_2")
    assert again["batches"] == 1
    with pytest.raises(OtherVersionError):
        run.measured(again)
    assert run.reduced(again)["problems"] == {"processor_failed": 1}


def test_the_run_fails_unless_there_are_as_many_rows_as_objects(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    planned = run.planned(request())
    with pytest.raises(RowsMissingError):
        run.reduced({**planned, "listed": 2})
    assert run.keys("runs/first/summary.json") == []


def test_a_run_over_an_empty_prefix_has_no_rows_and_results(run: Run) -> None:
    planned = run.planned(request())
    assert planned["batches"] == 0
    summary = run.reduced(planned)
    assert (summary["total"], run.rows("first")) == (0, [])
    assert run.read("runs/first/results.csv").decode().startswith("path,average_intensity")


def test_the_sums_say_when_a_run_began_and_what_its_averages_are(run: Run, upload: Upload) -> None:
    upload({"a.png": 10, "b.png": 20, "c.png": 255})
    summary = run.whole(request())
    assert datetime.fromisoformat(summary["started"]) <= datetime.fromisoformat(summary["ended"])
    averages = summary["averages"]
    assert (averages["minimum"], averages["mean"], averages["maximum"]) == (10, 95, 255)
    assert [(place, number) for place, number in enumerate(averages["bins"]) if number] == [(0, 1), (1, 1), (15, 1)]


def test_a_run_that_is_too_large_is_refused(run: Run, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    upload({"a.png": 10, "b.png": 20, "c.png": 30})
    monkeypatch.setattr("intensity.runs.request.MOST_OBJECTS", 3)
    monkeypatch.setattr("intensity.runs.request.MOST_OBJECTS_IN_DETAIL", 2)
    # What is named twice counts once.
    twice = tuple(Source("prefix", f"s3://{PHOTOS}/{beginning}") for beginning in ("", "a"))
    assert run.planned(request(sources=twice))["listed"] == 3
    with pytest.raises(SourceError, match="more than the 2 objects that a run can have with --detail full"):
        run.planned(request("second", options=RunOptions(detail="full")))
    upload({"d.png": 40})
    with pytest.raises(SourceError, match=r"more than the 3 objects .* Start several runs, each with a longer prefix"):
        run.planned(request("second"))
    assert run.keys("runs/second/") == []


@pytest.mark.parametrize(
    ("asked", "reserved", "expected"),
    [(None, 400, 400), (100, 400, 100), (1000, 400, 400), (None, -1, USUAL_CONCURRENCY), (1000, -1, 1000)],
)
def test_no_more_batches_are_measured_at_a_time_than_there_are_functions(
    asked: int | None, reserved: int, expected: int
) -> None:
    assert children(asked, reserved) == expected


def test_without_functions_no_run_begins() -> None:
    with pytest.raises(RunError, match="RunsConcurrency of the deployment is 0"):
        children(None, 0)


def test_several_sources_name_each_object_once(run: Run, upload: Upload, s3: S3Client) -> None:
    upload({"a/1.png": 10, "a/2.png": 20, "b/3.png": 30})
    s3.put_object(Bucket=PHOTOS, Key="list.csv", Body=f"s3://{PHOTOS}/a/1.png\ns3://{PHOTOS}/b/3.png\n".encode())
    sources = (Source("prefix", f"s3://{PHOTOS}/a/"), Source("list", f"s3://{PHOTOS}/list.csv"))
    summary = run.whole(request(sources=sources))
    assert (summary["total"], summary["not_taken"]) == (3, {"named_again": 1})


@pytest.mark.parametrize(
    "source", [Source("prefix", "s3://secret/"), Source("list", "s3://secret/list.csv"), Source("list", "list.csv")]
)
def test_only_buckets_that_the_deployment_names_are_read(run: Run, source: Source) -> None:
    with pytest.raises(SourceError, match="may not read the bucket"):
        run.planned(request(sources=(source,)))


def test_a_list_names_no_object_of_another_bucket(run: Run, s3: S3Client) -> None:
    s3.put_object(Bucket=PHOTOS, Key="list.csv", Body=b"s3://secret/a.png\n")
    with pytest.raises(SourceError, match="may not read the bucket secret"):
        run.planned(request(sources=(Source("list", f"s3://{PHOTOS}/list.csv"),)))


def test_a_name_is_that_of_one_run(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    run.planned(request())
    with pytest.raises(RunError, match="already"):
        run.planned(request(), "first_2")
    # Step Functions may call again for the same execution.
    assert run.planned(request())["batches"] == 1


def test_the_log_has_no_key_of_an_object(
    run: Run, upload: Upload, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from runs import measure, plan, reduce  # noqa: PLC0415 - their entry points

    upload({"secret-name.png": 10})
    for name, value in {"RESULTS_BUCKET": RESULTS, "SOURCE_BUCKETS": PHOTOS, "RESERVED_FUNCTIONS": "7"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    measure.client.cache_clear()
    planned = plan.lambda_handler({"request": request().values(), "execution": "first"}, None)
    (batch,) = run.todo(planned)
    shared = {name: planned[name] for name in ("run", "options", "method", "version")}
    answers = [measure.lambda_handler({"batch": batch, **shared}, None), reduce.lambda_handler(planned, None)]
    assert planned["max_concurrency"] == 7
    for text in (*capsys.readouterr(), *map(json.dumps, [planned, *answers])):
        assert "secret-name" not in text
    measure.client.cache_clear()
