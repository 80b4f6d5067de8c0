"""`intensity bulk` on 20,000 small objects in a local S3: a table for docs/benchmarks.md.

`python -m tests.bench.bulk` puts the same small JPEGs into a folder and into a bucket of MiniStack. It measures the
folder with `intensity` and the bucket with `intensity bulk`, in turns. MiniStack runs on the same cores, so CPU time
tells more than seconds do.
OBJECTS=2000 takes fewer, ROUNDS=3 measures more often.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

import boto3

from tests.bench.images import encode, photo
from tests.local_aws import KEYS, running_local_aws

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS = int(os.environ.get("OBJECTS", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "1"))
DIFFERENT = 200
SIZE = (160, 120)
BUCKET = "photos"
REGION: Final = "eu-central-1"
PROGRAM = str(Path(sys.executable).with_name("intensity"))


class Figures(NamedTuple):
    """Of one run. cpu: seconds of the command and its processes. memory: the most bytes of one of them, and of all."""

    seconds: float
    cpu: float
    parent: int
    most: int
    together: int


def fill(folder: Path) -> list[Path]:
    """Make the images, each of them under many names, and return their paths."""
    contents = folder.parent / "contents"
    contents.mkdir()
    for number in range(DIFFERENT):
        (contents / str(number)).write_bytes(encode(photo(*SIZE, seed=number), "JPEG", quality=85))
    folder.mkdir()
    files = [folder / f"{number:05}.jpg" for number in range(OBJECTS)]
    for number, file in enumerate(files):
        file.hardlink_to(contents / str(number % DIFFERENT))
    return files


def upload(address: str, files: Sequence[Path]) -> None:
    """Put the files into the bucket."""
    s3 = boto3.client(
        "s3", REGION, endpoint_url=address, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key="test"
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda file: s3.put_object(Bucket=BUCKET, Key=file.name, Body=file.read_bytes()), files))


def resident(pid: int) -> int:
    """The bytes of memory that a process uses now; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def processes(pid: int) -> list[int]:
    """A process and its children."""
    with suppress(OSError):
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return [pid]


def run(arguments: list[str], environment: dict[str, str]) -> Figures:
    """Run the command to its end."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    parent = most = together = 0
    command = [PROGRAM, *arguments, "--progress", "none"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            memory = [resident(pid) for pid in processes(process.pid)]
            parent, most, together = max(parent, memory[0]), max(most, *memory), max(together, sum(memory))
            time.sleep(0.05)
        assert process.stderr
        told = process.stderr.read().decode()
    print(told, file=sys.stderr)  # noqa: T201 - progress
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(time.perf_counter() - begun, cpu, parent, most, together)


def table(runs: dict[str, list[Figures]]) -> None:
    """Print the figures."""
    print("| run | objects per second | CPU, ms for each | command, MB | largest process, MB | all, MB |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |")  # noqa: T201 - it is a report
    for name, figures in runs.items():
        seconds, cpu, parent, most, together = map(statistics.median, zip(*figures, strict=True))
        sizes = " | ".join(f"{size / 1e6:.0f}" for size in (parent, most, together))
        print(f"| {name} | {OBJECTS / seconds:.0f} | {cpu / OBJECTS * 1e3:.2f} | {sizes} |")  # noqa: T201 - as above


def main() -> None:
    """Print the tables."""
    with TemporaryDirectory() as temporary, running_local_aws(Path(temporary)) as address:
        work = Path(temporary)
        files = fill(work / "images")
        begun = time.perf_counter()
        upload(address, files)
        print(f"uploaded in {time.perf_counter() - begun:.0f} s", file=sys.stderr)  # noqa: T201 - progress
        environment = {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": address}
        here, there = (work / f"{name}.csv" for name in ("here", "there"))
        of_folder = [str(work / "images"), "-o", str(here), "--force"]
        of_bucket = ["bulk", f"s3://{BUCKET}", "-o", str(there), "--force"]
        runs: dict[str, list[Figures]] = {"`intensity` on the folder": [], "`intensity bulk` on the bucket": []}
        for _ in range(ROUNDS):
            for figures, arguments in zip(runs.values(), (of_folder, of_bucket), strict=True):
                figures.append(run(arguments, environment))
        table(runs)


if __name__ == "__main__":
    main()
