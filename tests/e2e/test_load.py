"""Many large uploads at once: every one is measured, and gateway and processors take no more memory for it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event
from typing import TYPE_CHECKING

import pytest

from tests.e2e.images import noise
from tests.e2e.test_http import assert_measured, assert_problem
from tests.e2e.uploads import form_for, redeem, send

if TYPE_CHECKING:
    from tests.e2e.compose import Compose
    from tests.e2e.images import Sample

UPLOADS = 50
# Before it is watched, each worker of the gateway has loaded what its first upload needs, botocore's models above all.
FIRST_UPLOADS = 10
SIZE = 10_000_000
# A request waits at most 15 s for one of the two processors. After that, the answer says when to try again.
ROUNDS = 20
# MiniStack handles one request at a time: with fifty uploads in its queue, a processor would not get its file in time.
SENDING = BoundedSemaphore(4)
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
WATCHED = {"gateway", "processor-1", "processor-2"}


def memory(compose: Compose) -> dict[str, int]:
    """The bytes of memory that each watched part takes just now."""
    names = {}
    for line in compose("ps", "--format", "json").splitlines():
        part = json.loads(line)
        if part["Service"] in WATCHED:
            names[part["Name"]] = part["Service"]
    stats = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names],
        capture_output=True,
        text=True,
        check=True,
    )
    used = {}
    for line in stats.stdout.splitlines():
        found = re.match(r"(\S+) ([\d.]+)([KMG]?i?B) /", line)
        assert found, line
        used[names[found[1]]] = int(float(found[2]) * UNITS[found[3]])
    assert set(used) == WATCHED
    return used


def measure_one(compose: Compose, base: Sample, number: int) -> None:
    # Another file each time, with the same pixels: bytes after the end of a PNG do not belong to it.
    sample = base._replace(content=base.content + number.to_bytes(2, "big"))
    form = form_for(compose.url, sample.content)
    with SENDING:
        assert send(form, sample.content).status_code == 204
    for _ in range(ROUNDS):
        response = redeem(compose.url, form["ticket"])
        if response.status_code != 503:
            break
        assert_problem(response, 503, "processor_busy")
        time.sleep(float(response.headers["Retry-After"]))
    assert_measured(response, sample)


@pytest.mark.usefixtures("compose")
def test_memory_stays_flat_under_fifty_uploads(compose: Compose) -> None:
    base = noise(SIZE)
    over = Event()

    def watch() -> None:
        while not over.is_set():
            samples.append(memory(compose))

    with ThreadPoolExecutor(UPLOADS + 1) as threads:
        list(threads.map(lambda number: measure_one(compose, base, number), range(UPLOADS, UPLOADS + FIRST_UPLOADS)))
        samples = [memory(compose)]
        watching = threads.submit(watch)
        try:
            begun = time.monotonic()
            list(threads.map(lambda number: measure_one(compose, base, number), range(UPLOADS)))
            seconds = time.monotonic() - begun
        finally:
            over.set()
        watching.result()
    megabytes = {part: [sample[part] / 1e6 for sample in samples] for part in WATCHED}
    for part, used in megabytes.items():
        print(f"{part}: {used[0]:.0f} MB before, at most {max(used):.0f} MB")  # noqa: T201 - the figures of the run
    print(f"{UPLOADS} uploads of {SIZE / 1e6:.0f} MB in {seconds:.0f} s")  # noqa: T201 - likewise
    # A tenth of the uploaded bytes. No file goes through the gateway. A processor holds one file and its pixels.
    assert max(megabytes["gateway"]) < megabytes["gateway"][0] + 50
    for part in ("processor-1", "processor-2"):
        assert max(megabytes[part]) < 200
