"""Runs on a local AWS, from the deployed template and by the command: every object has one row, whatever happens."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from intensity.runs.layout import read_part_name
from tests.e2e.engines import AWS, REGION, STACK, client
from tests.runs.images import gray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from tests.e2e.conftest import Engine

pytestmark = pytest.mark.parametrize("engine", ["deployed"], indirect=True)
# A page of a listing has a thousand.
SOUND = {f"many/{number:04d}.png": gray(number % 256, (8 + number % 5, 8)) for number in range(1188)}
SOUND |= {"many/a.webp": gray(77, form="WEBP"), "many/a.tif": gray(88, form="TIFF")}
FORMATS = ("--formats", "PNG,JPEG,WEBP,TIFF")
DAMAGED = {f"many/damaged-{number}.png": gray(100, (40, 40))[: 40 + number] for number in range(4)}
KILLER = "many/killer.jpg"
# In a list: they are found out only when they are read.
MISSING = [f"many/missing-{number}.png" for number in range(2)]
FORBIDDEN = "private.png"
# Written again since it was listed.
CHANGED = "lists/changed.png"
EMPTY = "many/empty.png"
# The objects of the run that is canceled: five batches.
HALF = 500
# How many children of a run measure at a time.
CHILDREN = 3


@dataclass
class Runs:
    """The runs of a deployment, by the command `intensity runs` and by AWS's API."""

    endpoint: str
    folder: Path

    def client(self, service: str, **arguments: str) -> Any:  # noqa: ANN401 - of any service
        return client(self.endpoint, service, **arguments)

    @cached_property
    def s3(self) -> S3Client:
        client: S3Client = self.client("s3")
        return client

    @cached_property
    def outputs(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "intensity", "runs", *arguments]
        environment = {**AWS, "AWS_ENDPOINT_URL": self.endpoint, "INTENSITY_STACK": STACK}
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=240
        )

    def upload(self, files: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.s3.put_object(Bucket="photos", Key=key, Body=files[key]), files))

    def parts(self, run: str) -> dict[str, str]:
        """The parts of a run, and when each was written."""
        pages = self.s3.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.outputs["RunsBucket"], Prefix=f"work/{run}/parts/")
        return {each["Key"]: str(each["LastModified"]) for page in found for each in page.get("Contents", ())}

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.outputs["RunsBucket"], Key=key)["Body"].read()

    def bound(self) -> None:
        """Let a run have so many children at a time. MiniStack does not know the state's own bound, and starts 64."""
        machines, machine = self.client("stepfunctions"), self.outputs["RunsStateMachine"]
        definition = json.loads(machines.describe_state_machine(stateMachineArn=machine)["definition"])
        assert definition["States"]["Measure"].pop("MaxConcurrencyPath") == "$.max_concurrency"
        definition["States"]["Measure"]["MaxConcurrency"] = CHILDREN
        machines.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))

    @contextmanager
    def functions(self, number: int) -> Iterator[None]:
        """Let only so many functions measure at a time."""
        functions = self.client("lambda")
        [name] = [
            each["FunctionName"]
            for page in functions.get_paginator("list_functions").paginate()
            for each in page["Functions"]
            if each["PackageType"] == "Image" and "RESULTS_BUCKET" in each["Environment"]["Variables"]
        ]
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=number)
        yield
        functions.delete_function_concurrency(FunctionName=name)

    def maps(self, run: str) -> list[dict[str, Any]]:
        """The Distributed Maps of a run. One whose children have all ended has a "stopDate"."""
        execution = f"{self.outputs['RunsStateMachine'].replace(':stateMachine:', ':execution:')}:{run}"
        found: list[dict[str, Any]] = self.client("stepfunctions").list_map_runs(executionArn=execution)["mapRuns"]
        return found

    def has(self, key: str) -> bool:
        return self.s3.list_objects_v2(Bucket=self.outputs["RunsBucket"], Prefix=key)["KeyCount"] == 1


@pytest.fixture
def runs(engine: Engine, tmp_path: Path) -> Runs:
    found = Runs(engine.url.partition("/restapis/")[0], tmp_path)
    if "photos" not in [each["Name"] for each in found.s3.list_buckets()["Buckets"]]:
        region = {"LocationConstraint": REGION}
        found.s3.create_bucket(Bucket="photos", CreateBucketConfiguration=region)  # type: ignore[arg-type]
        # Of another account, whose number is the key.
        stranger = found.client("s3", aws_access_key_id="222222222222")
        stranger.create_bucket(Bucket="strangers", CreateBucketConfiguration=region)
        stranger.put_object(Bucket="strangers", Key=FORBIDDEN, Body=gray(1))
        found.bound()
    return found


@cache
def killer() -> bytes:
    """An image whose decoding takes more memory than a function of these tests has, and less than the limit."""
    data = io.BytesIO()
    Image.new("RGB", (11_000, 11_000), (90, 120, 150)).save(data, "JPEG", progressive=True, subsampling=0)
    return data.getvalue()


@cache
def slow() -> bytes:
    """An image that takes half a second."""
    data = io.BytesIO()
    Image.new("RGB", (6000, 6000), (90, 120, 150)).save(data, "JPEG", progressive=True, subsampling=0)
    return data.getvalue()


def objects_of(part: str) -> int:
    """How many objects have their rows in a part of this name."""
    _, index = read_part_name(part)
    return 100 if index is None else 1


def measured_here(folder: Path, files: Mapping[str, bytes]) -> set[str]:
    """The lines of CSV that the command gives for the same files in a folder."""
    (folder / "many").mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, "-m", "intensity", "many", "-o", "here.csv", "--progress", "none", *FORMATS]
    subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=240)
    return set((folder / "here.csv").read_text().splitlines())


def test_every_one_of_1200_objects_has_the_row_that_the_command_gives_for_its_file(runs: Runs) -> None:
    files = {**SOUND, **DAMAGED, EMPTY: b""}
    runs.upload({**files, KILLER: killer(), CHANGED: gray(1)})
    named: list[dict[str, str]] = [{"bucket": "photos", "key": key} for key in MISSING]
    named += [{"bucket": "strangers", "key": FORBIDDEN}, {"bucket": "photos", "key": CHANGED, "etag": "0" * 32}]
    runs.upload({"lists/list.jsonl": "\n".join(map(json.dumps, named)).encode()})

    sources = ("s3://photos/many/", "--from", "s3://photos/lists/list.jsonl")
    started = runs.command("start", *sources, *FORMATS, "--name", "all", "--watch")
    assert (started.returncode, started.stdout) == (1, "all\n"), started.stderr
    assert "1,200 objects" in started.stderr.splitlines()[0]
    fetched = runs.command("fetch", "all")
    assert fetched.returncode == 1, fetched.stderr

    table = (runs.folder / "all/results.csv").read_text()
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(table))}
    assert len(rows) == len(table.splitlines()) - 1 == 1200
    assert {path: row["code"] for path, row in rows.items() if row["code"]} == {
        **{f"s3://photos/{key}": "corrupt_image" for key in DAMAGED},
        f"s3://photos/{EMPTY}": "empty_file",
        f"s3://photos/{KILLER}": "processor_failed",
        **{f"s3://photos/{key}": "object_missing" for key in MISSING},
        f"s3://photos/{CHANGED}": "object_changed",
        f"s3://strangers/{FORBIDDEN}": "object_forbidden",
    }
    here = measured_here(runs.folder, files)
    assert len(here) == len(files) + 1
    assert here <= {line.removeprefix("s3://photos/") for line in table.splitlines()}


def test_a_run_that_was_canceled_in_the_middle_measures_the_rest_when_it_is_resumed(runs: Runs) -> None:
    # A batch takes some seconds, so that the command finds the run running.
    runs.upload({f"half/{number:04d}.jpg": gray(number % 256) if number % 10 else slow() for number in range(HALF)})
    # AWS stops the children of a canceled run. MiniStack lets them run on, and a child that finds no free function ends
    # at once, which on AWS would wait. So two batches or some more are measured, and the others are not.
    with runs.functions(CHILDREN - 1):
        assert runs.command("start", "s3://photos/half/", "--name", "half", "--yes").returncode == 0
        until(lambda: runs.maps("half"))
        canceled = runs.command("cancel", "half")
        assert canceled.returncode == 0, canceled.stderr
        until(lambda: all("stopDate" in each for each in runs.maps("half")))
    aborted = runs.command("status", "half")
    assert (aborted.returncode, "aborted" in aborted.stderr) == (1, True)
    before = runs.parts("half")
    assert 0 < sum(map(objects_of, before)) < HALF
    assert not runs.has("runs/half/summary.json")
    damaged, *sound = sorted(before)
    runs.s3.put_object(Bucket=runs.outputs["RunsBucket"], Key=damaged, Body=runs.read(damaged)[:-1])

    assert runs.command("resume", "half").returncode == 0
    watched = runs.command("watch", "half")
    assert (watched.returncode, f"{HALF} measured" in watched.stderr) == (0, True), watched.stderr
    todo = runs.read("work/half/todo-half_2.jsonl")
    left = [each["key"] for line in todo.splitlines() for each in json.loads(line)["objects"]]
    assert len(left) == len(set(left)) == HALF - sum(map(objects_of, sound))
    # What was written before is as it was, but for the damaged part, and each object has one row.
    after = runs.parts("half")
    assert sum(map(objects_of, after)) == HALF
    assert {key: before[key] for key in sound}.items() <= after.items()
    assert runs.command("fetch", "half", "--only", "csv").returncode == 0
    rows = list(csv.DictReader(io.StringIO((runs.folder / "half/results.csv").read_text())))
    assert len(rows) == len({row["path"] for row in rows}) == HALF
    assert all(row["average_intensity"] for row in rows)


def test_a_run_over_an_empty_prefix_says_that_there_was_nothing(runs: Runs) -> None:
    started = runs.command("start", "s3://photos/nothing/", "--name", "none", "--watch")
    assert (started.returncode, "No images were found" in started.stderr) == (1, True)
    assert runs.command("fetch", "none", "--only", "csv").returncode == 1
    assert (runs.folder / "none/results.csv").read_text().count("\n") == 1
    assert "none" in runs.command("list").stdout


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it has not become true"
        time.sleep(0.2)
