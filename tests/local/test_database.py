"""Opening a database that several processes share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from local_server.database import open_database

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

TABLES = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER)"
# Without the lock, SQLite refuses one of four in about a tenth of the rounds.
WORKERS, ROUNDS = 4, 300


def open_each(folder: Path, together: Barrier) -> None:
    """A worker: open one database after the other, each at the same time as the other workers."""
    for number in range(ROUNDS):
        together.wait(timeout=20)
        with closing(open_database(folder / f"{number}", TABLES, 100)) as database:
            database.execute("INSERT INTO numbers VALUES (1)")


def test_all_workers_open_the_database_at_the_same_time(tmp_path: Path) -> None:
    processes = get_context("spawn")
    together = processes.Barrier(WORKERS)
    workers = [processes.Process(target=open_each, args=(tmp_path, together)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    with closing(sqlite3.connect(tmp_path / f"{ROUNDS - 1}")) as database:
        assert database.execute("SELECT count(*) FROM numbers").fetchone() == (WORKERS,)


def test_a_folder_that_is_not_there_is_an_error_of_the_database(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        open_database(tmp_path / "missing" / "file", TABLES, 100)
