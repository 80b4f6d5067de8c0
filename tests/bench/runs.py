"""Plan and Reduce of a run with very many objects: time, memory and requests. S3 is a folder, so nothing waits for it.

Plan is also measured where it resumes a run whose parts are all there: it reads each of them.

Usage: python -m tests.bench.runs [OBJECTS ...], by default 100,000 and 1,000,000. Each function is a process of its
own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from intensity import names
from intensity.rows import Method
from intensity.runs.layout import PLAN, Layout, write_part
from intensity.runs.options import RunOptions
from intensity.runs.request import Request
from intensity.sources.listing import Source
from runs.batches import read_entry
from runs.plan import Planning
from runs.reduce import Reduction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

PAGE = 1000
# As boto3's managed transfers do it: one request for each 8 MB of a large file, and two around them.
CHUNK_BYTES = 8 << 20
RESULTS, PHOTOS = "results", "photos"


class FolderS3:
    """What the functions use of S3: results are files in a folder, and the other bucket is only listed."""

    def __init__(self, folder: Path, objects: int) -> None:
        self._folder, self._objects = folder, objects
        self.requests: Counter[str] = Counter()

    def file(self, key: str) -> Path:
        file = self._folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def get_paginator(self, _: str) -> FolderS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's names
        if Bucket == RESULTS:
            folder = self._folder / Prefix
            names = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
            for first in range(0, max(len(names), 1), PAGE):
                self.requests["LIST"] += 1
                yield {"Contents": [{"Key": f"{Prefix}{name}"} for name in names[first : first + PAGE]]}
            return
        for first in range(0, self._objects, PAGE):
            self.requests["LIST"] += 1
            yield {
                "Contents": [
                    {"Key": f"photos/2026/11/{n:09d}.jpg", "ETag": f'"{n:032x}"', "Size": 1_000_000}
                    for n in range(first, min(first + PAGE, self._objects))
                ]
            }

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.requests["GET"] += 1
        if Bucket != RESULTS or not self.file(Key).exists():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
        return {"Body": BytesIO(self.file(Key).read_bytes()), "ETag": "e"}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: ARG002, N803 - boto3's names
        self.requests["PUT"] += 1
        self.file(Key).write_bytes(Body)

    def upload_file(self, name: str, _: str, key: str) -> None:
        self.requests["PUT"] += transfers(Path(name).stat().st_size)
        Path(name).rename(self.file(key))
        # The function may still read it.
        Path(name).symlink_to(self.file(key))

    def download_file(self, _: str, key: str, name: str) -> None:
        self.requests["GET"] += transfers(self.file(key).stat().st_size)
        Path(name).symlink_to(self.file(key))

    def copy(self, _: dict[str, str], __: str, key: str) -> None:
        self.requests["PUT"] += 1
        self.file(key).touch()


def transfers(size: int) -> int:
    """How many requests a managed transfer of a file is."""
    return 1 if size <= CHUNK_BYTES else -(-size // CHUNK_BYTES) + 2


def plan(s3: FolderS3, folder: Path) -> dict[str, Any]:
    request = Request(run="bench", sources=(Source("prefix", f"s3://{PHOTOS}/"),))
    return planning(s3, request, folder).begin()


def planning(s3: FolderS3, request: Request, folder: Path) -> Planning:
    return Planning(
        s3=cast("S3Client", s3),
        results=RESULTS,
        sources=frozenset({PHOTOS}),
        reserved=400,
        request=request,
        execution="bench",
        folder=folder,
    )


def measure(s3: FolderS3, planned: dict[str, Any]) -> None:
    """Write the parts, with made-up rows."""
    layout = Layout("bench")
    method = Method(RunOptions().measuring, planned["version"]).values()
    with s3.file(layout.result(PLAN)).open() as lines:
        for line in lines:
            batch = json.loads(line)
            rows = [row(names.written(read_entry(entry).name), method) for entry in batch["objects"]]
            s3.file(layout.part(planned["method"], batch["n"])).write_bytes(write_part(rows, {}, seconds=9.0))


def row(path: str, method: dict[str, Any]) -> str:
    """A row as `intensity` writes it, with an average that is as long as most."""
    number = int(path[-13:-4])
    values = {
        "path": path,
        "average_intensity": number % 251 + 0.123456789012345,
        "image_size": [4032, 3024],
        "original_mode": "RGB",
        "pixel_count": 12192768,
        "image_size_bytes": 1_000_000,
        "sha256": f"{number:064x}",
        "code": None,
        "detail": None,
    }
    return json.dumps({**values, **method}) + "\n"


def step(name: str, objects: int, folder: Path) -> None:
    """Run one function, and print what it took as JSON."""
    s3 = FolderS3(folder / "s3", objects)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        begun = time.monotonic()
        if name == "plan":
            (folder / "planned.json").write_text(json.dumps(plan(s3, Path(work))))
        else:
            planned = json.loads((folder / "planned.json").read_text())
            if name == "measure":
                measure(s3, planned)
            elif name == "resume":
                again = planning(s3, Request(run="bench", resume=True), Path(work)).resume()
                assert (again["listed"], again["batches"]) == (objects, 0)
            else:
                summary = Reduction(cast("S3Client", s3), RESULTS, planned, Path(work)).all()
                assert summary["total"] == summary["measured"] == objects
        wall = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = {"cpu": used.ru_utime + used.ru_stime, "wall": wall}
    print(json.dumps({**seconds, "peak_mb": used.ru_maxrss * 1024 / 1e6, "requests": s3.requests}))  # noqa: T201 - read below


def main(numbers: list[int]) -> None:
    print("| function | objects | CPU, s | wall, s | peak memory, MB | LIST | GET | PUT |")  # noqa: T201 - for a person
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201 - for a person
    for objects in numbers:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("plan", "measure", "resume", "reduce"):
                command = [sys.executable, "-m", "tests.bench.runs", name, str(objects), folder]
                took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                if name == "measure":
                    continue
                requests = [f"{took['requests'].get(kind, 0):,}" for kind in ("LIST", "GET", "PUT")]
                label = "plan, to resume" if name == "resume" else name
                cells = [label, f"{objects:,}", *(f"{took[key]:,.1f}" for key in ("cpu", "wall"))]
                print(f"| {' | '.join([*cells, format(took['peak_mb'], ',.0f'), *requests])} |", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    if sys.argv[1:2] in (["plan"], ["measure"], ["resume"], ["reduce"]):
        step(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main([int(number) for number in sys.argv[1:]] or [100_000, 1_000_000])
