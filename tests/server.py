"""The one way in which tests start the local server: as `make run` does, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from local_server.settings import LocalSettings
from tests.support import variables

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not settings of ours, but they change what the server does.
FOREIGN_PREFIXES = ("AWS_ENDPOINT_URL", "POWERTOOLS_")
START_SECONDS = 60
STOP_SECONDS = 60


class Server:
    """A server process, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def output(self, kind: str) -> str:
        """What it has written to standard output ("out") or standard error ("err")."""
        return (self.folder / kind).read_text()

    @property
    def first_line(self) -> str:
        return self.output("out").partition("\n")[0]

    @property
    def address(self) -> str:
        """Where it serves; only after it has said so."""
        return self.first_line.split()[3]

    def wait_for_address(self) -> None:
        """Wait until it says where it serves. By then it listens."""
        end = time.monotonic() + START_SECONDS
        while not self.first_line.endswith(")"):
            assert self.process.poll() is None, self.output("err")
            assert time.monotonic() < end, self.output("err")
            time.sleep(0.02)

    def processes(self, kind: str = "") -> list[int]:
        """The processes that it has started, and those that they have started, whose command has this part."""
        return [process for process in started_by(self.process.pid) if kind in command(process)]

    def workers(self) -> list[int]:
        """The processes of gunicorn that answer requests."""
        return [process for process in children(self.process.pid) if "gunicorn" in command(process)]

    def interrupt(self) -> int:
        """Press Ctrl+C, and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


def children(process: int) -> list[int]:
    """The processes that the threads of this one have started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def started_by(process: int) -> list[int]:
    """The processes that this one has started, and those that they have started."""
    found = children(process)
    return found + [each for child in found for each in started_by(child)]


def command(process: int) -> str:
    """The command of a process; nothing if there is none any more."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def environment(**settings: str) -> dict[str, str]:
    """The environment of the tests with these settings and none from elsewhere."""
    own = variables(LocalSettings)
    inherited = {
        name: value for name, value in os.environ.items() if name not in own and not name.startswith(FOREIGN_PREFIXES)
    }
    # Each worker starts two processes more, and one does for most tests.
    return {**inherited, "PORT": "0", "WORKERS": "1", **settings}


@contextmanager
def starting_server(folder: Path, **settings: str) -> Iterator[Server]:
    """Start a server with `settings`, and end it if it still runs. Its output goes to `folder`."""
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        command = [sys.executable, "-m", "local_server"]
        process = subprocess.Popen(command, env=environment(**settings), stdout=out, stderr=err)
        try:
            yield Server(process, folder)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server: first by SIGTERM, so that it ends its workers, too."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_server(**settings: str) -> Iterator[Server]:
    """Run a server with `settings`. If the test has not ended it, Ctrl+C does, and must end it cleanly."""
    with TemporaryDirectory() as folder, starting_server(Path(folder), **settings) as server:
        server.wait_for_address()
        yield server
        assert server.process.poll() is not None or server.interrupt() == 0, server.output("err")
