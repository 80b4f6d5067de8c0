"""The embedded cache: shared by processes, bounded, and never a fault, whatever happens to it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from contract.problems import ProblemCode, ProblemError
from gateway.measuring.cache import Cache
from gateway.measuring.records import MAX_RECORD_BYTES
from gateway.settings import Settings
from local_server import cache as cache_module
from local_server.cache import MAX_BYTES, FileStore, prepare_database
from tests.gateway.driver import IMAGE, Gateway
from tests.support import executable, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from local_server.cache import FileStore
store = FileStore(Path(sys.argv[1]))
for number in itertools.count():
    name = f"{number % 50}"
    asyncio.run(store.write(name, f"{name} {number} ".encode() * 300, 60, replace=True))
    print(number, flush=True)
"""


def read(store: FileStore, name: str = "name") -> bytes:
    return asyncio.run(store.read(name))


def write(store: FileStore, content: bytes, name: str = "name", seconds: int = 60, *, replace: bool = True) -> None:
    asyncio.run(store.write(name, content, seconds, replace=replace))


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., FileStore]]:
    """Open the one database of the test, as a further worker does."""
    opened: list[FileStore] = []

    def make(path: Path = tmp_path / "cache", max_bytes: int = MAX_BYTES) -> FileStore:
        if not path.exists():
            prepare_database(path)
        opened.append(FileStore(path, max_bytes))
        return opened[-1]

    yield make
    for store in opened:
        if "database" in store.__dict__:
            store.database.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the store. The test sets it by the only item of the list."""
    now = [1000.0]

    class Clock:
        time = staticmethod(lambda: now[0])

    monkeypatch.setattr(cache_module, "time", Clock)
    return now


@pytest.fixture
def make_gateways() -> Iterator[Callable[[FileStore], Gateway]]:
    """Make gateways with the store as their cache."""
    made: list[Gateway] = []

    def make(store: FileStore) -> Gateway:
        gateway = Gateway()
        gateway.close()
        made.append(Gateway(cache=Cache(store, Settings.load({"SECRET_KEY": "of the run"}), gateway.logger)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def outcome(gateway: Gateway, content: bytes = IMAGE) -> str:
    response = gateway.upload(content)
    assert response.status_code == 200
    return str(response.headers["x-cache"])


def test_what_one_worker_has_measured_or_refused_is_a_hit_in_the_other(
    make_gateways: Callable[[FileStore], Gateway], open_store: Callable[..., FileStore]
) -> None:
    measuring, refusing = (make_gateways(open_store()) for _ in range(2))
    refusing.processor.answer = ProblemError(ProblemCode.CORRUPT_IMAGE, "Cut short.")
    assert [refusing.upload().status_code, measuring.upload().status_code] == [400, 400]
    assert [outcome(each, b"another") for each in (measuring, refusing, measuring)] == ["miss", "hit", "hit"]


def test_a_value_gives_way_only_if_that_is_asked_or_its_time_is_over(
    open_store: Callable[..., FileStore], clock: list[float]
) -> None:
    store = open_store()
    write(store, b"first", seconds=60)
    write(store, b"second", seconds=600, replace=False)
    clock[0] += 59.9
    assert read(store) == b"first"
    clock[0] += 0.2
    assert read(store) == b""
    write(store, b"third", seconds=60, replace=False)
    assert read(store) == b"third"
    write(store, b"fourth", seconds=60)
    assert read(store) == b"fourth"


def test_the_oldest_give_way_when_it_is_full(
    open_store: Callable[..., FileStore], tmp_path: Path, clock: list[float]
) -> None:
    store = open_store(max_bytes=1_000_000)
    write(store, bytes(MAX_RECORD_BYTES))
    assert read(store) == bytes(MAX_RECORD_BYTES)
    for number in range(2000):
        clock[0] += 0.001
        write(store, b"x" * 2000, f"{number}", seconds=60)
        assert read(store, f"{number}") == b"x" * 2000
    assert read(store, "0") == b""
    assert read(store, "1900") == b"x" * 2000
    assert (tmp_path / "cache").stat().st_size <= 1_000_000
    # What is written is first in a second file, up to a size of its own.
    assert (tmp_path / "cache-wal").stat().st_size < 6_000_000


def test_a_worker_that_is_killed_while_it_writes_spoils_nothing_and_holds_up_nobody(
    open_store: Callable[..., FileStore], tmp_path: Path
) -> None:
    store = open_store()
    write(store, b"before", "kept")
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "cache")], stdout=subprocess.PIPE)
        assert process.stdout
        with process.stdout:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            process.wait()
        write(store, b"after", "own")
        assert read(store, "own") == b"after"
        assert read(store, "kept") == b"before"
        assert read(store, "0")
        for name in map(str, range(50)):
            content = read(store, name)
            assert content == content[: len(content) // 300] * 300
            assert not content or content.startswith(f"{name} ".encode())
    assert store.database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def fill(path: Path) -> None:
    """Write to a file until there is no space left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_a_miss_and_one_line_of_the_log(
    make_gateways: Callable[[FileStore], Gateway], open_store: Callable[..., FileStore], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [executable("mount"), "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        missing("the right to mount a file system")
    try:
        store = open_store(disk / "cache")
        gateway = make_gateways(store)
        assert [outcome(gateway), outcome(gateway)] == ["miss", "hit"]
        fill(disk / "other")
        assert [outcome(gateway, b"%d" % number) for number in range(5)] == ["miss"] * 5
        assert outcome(gateway) == "hit"
        [line] = [line for line in gateway.log() if line["level"] != "INFO"]
        assert line["message"] == "writing the cache failed; going on without"
    finally:
        store.database.close()
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("content", [b"not a database" * 1000, os.urandom(100_000)])
def test_a_file_that_is_no_database_is_a_bypass(
    make_gateways: Callable[[FileStore], Gateway],
    open_store: Callable[..., FileStore],
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "cache").write_bytes(content)
    gateway = make_gateways(open_store())
    assert [outcome(gateway), outcome(gateway)] == ["bypass", "bypass"]
    assert len([line for line in gateway.log() if line["level"] != "INFO"]) == 1
