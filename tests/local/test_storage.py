"""The storage for large uploads that `make run` starts: it ends with the server, and the server does without."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.server import running_server, starting_server
from tests.support import ministack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

PATIENCE = 30


def children(process: subprocess.Popen[bytes]) -> list[Path]:
    """The processes that this one has started."""
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Path("/proc", child) for child in started]


def wait_until_gone(processes: list[Path]) -> None:
    end = time.monotonic() + PATIENCE
    while any(process.exists() for process in processes):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder for temporary files. A folder of pytest's has too long a path for sockets."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("ending", "reload"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGHUP, ""), (signal.SIGHUP, "1")]
)
def test_the_storage_ends_with_the_server_and_leaves_nothing(
    temporary: Path, ending: signal.Signals, reload: str
) -> None:
    with running_server(MINISTACK=ministack(), TMPDIR=str(temporary), RELOAD=reload) as server:
        # With RELOAD, another process is still loading the application.
        health = httpx.get(f"{server.address}/health", timeout=PATIENCE)
        assert health.json()["limits"]["max_upload_bytes"] == 100_000_000
        started = children(server.process)
        assert started
        assert list(temporary.iterdir())
        server.process.send_signal(ending)
        server.process.wait(PATIENCE)
        wait_until_gone(started)
        assert list(temporary.iterdir()) == []
        assert server.output("err") == ""


@pytest.mark.parametrize("program", ["/nowhere/ministack", "/bin/false", "/bin/ls"])
def test_without_the_storage_the_service_goes_on_and_says_why(temporary: Path, program: str) -> None:
    with running_server(MINISTACK=program, TMPDIR=str(temporary)) as server:
        assert httpx.get(f"{server.address}/health").json()["limits"]["max_upload_bytes"] == 0
        [line] = server.output("err").splitlines()
        assert line.startswith("No uploads above the inline limit, as MiniStack does not start: ")
        assert server.interrupt() == 0
    assert list(temporary.iterdir()) == []


def test_ctrl_c_while_the_storage_starts_ends_both(tmp_path: Path, temporary: Path) -> None:
    never_ready = tmp_path / "ministack"
    never_ready.write_text("#!/bin/sh\nexec sleep 60\n")
    never_ready.chmod(0o755)
    with starting_server(tmp_path, MINISTACK=str(never_ready), TMPDIR=str(temporary)) as server:
        end = time.monotonic() + PATIENCE
        while not (started := children(server.process)):
            # At once, before the server itself may know that it has started a process.
            assert time.monotonic() < end
        assert (server.interrupt(), server.output("out"), server.output("err")) == (0, "", "")
        wait_until_gone(started)
    assert list(temporary.iterdir()) == []


def test_neither_a_proxy_nor_somebody_elses_keys_are_used() -> None:
    foreign = {"http_proxy": "http://127.0.0.1:9", "AWS_SESSION_TOKEN": "somebody's", "AWS_PROFILE": "not-there"}
    announced = {"filename": "x", "size": 1, "content_type": "image/png", "sha256": "0" * 64}
    with running_server(MINISTACK=ministack(), **foreign) as server:
        with httpx.Client(trust_env=False) as client:
            form = client.post(f"{server.address}/uploads", json=announced).raise_for_status().json()
            assert "x-amz-security-token" not in form["fields"]
            # Nobody else may read it: other pages in the browser have neither a key nor CORS permission.
            listing = client.get(form["url"], headers={"Origin": "https://elsewhere.example"})
            assert listing.status_code == 403
            assert "Access-Control-Allow-Origin" not in listing.headers
        assert server.interrupt() == 0
