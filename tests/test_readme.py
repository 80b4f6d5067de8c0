"""A newcomer's first minutes: in a fresh clone, the lines of README.md give the page, a table and an answer."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support import executable, free_port
from tests.test_docs import REPOSITORY, SERVICE, example

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = "Three ways in"
# The first `make run` installs what the service needs.
SECONDS = 400


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of this repository elsewhere, as `git clone` leaves them, and changes that are not committed."""
    command = [executable("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True).stdout
    for name in listed.split("\0")[:-1]:
        if (REPOSITORY / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def surroundings(clone: Path, port: int) -> dict[str, str]:
    """A newcomer's environment, on a free port and with uv, which `make run` installs into the clone."""
    usual = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV")}
    return {**usual, "PORT": str(port), "PATH": f"{clone}/.venv/bin{os.pathsep}{usual['PATH']}"}


@contextmanager
def running(line: str, clone: Path, environment: dict[str, str]) -> Iterator[None]:
    """The service, once it answers."""
    address = f"http://localhost:{environment['PORT']}/health"
    deadline = time.monotonic() + SECONDS
    with subprocess.Popen(["bash", "-c", line], cwd=clone, env=environment, start_new_session=True) as service:
        try:
            while service.poll() is None and time.monotonic() < deadline:
                try:
                    urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                pytest.fail(f"no answer from {address}; the output of make is above")
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGTERM)


def test_the_lines_of_the_readme_give_the_page_a_table_and_an_answer(clone: Path) -> None:
    port = free_port()
    environment = surroundings(clone, port)

    def printed(section: str, containing: str) -> str:
        command = example("README.md", section, "sh", containing).replace(SERVICE, f"http://localhost:{port}")
        done = subprocess.run(
            ["bash", "-c", command], cwd=clone, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
        return done.stdout

    executable("curl")
    with running(example("README.md", WAYS, "sh", "make run"), clone, environment):
        with urlopen(f"http://localhost:{port}/", timeout=30) as page:
            assert page.read() == (REPOSITORY / "static_site/index.html").read_bytes()
        answer, shown = json.loads(printed(WAYS, "curl")), json.loads(example("README.md", WAYS, "json"))
        assert list(answer) == list(shown)
        own = ("duration_ms", "request_id")
        assert {name: answer[name] for name in shown if name not in own} == {
            name: value for name, value in shown.items() if name not in own
        }
        assert printed(WAYS, "uvx") == example("README.md", WAYS, "")
        detailed = json.loads(printed("Options", "curl"))
        printed("Options", "samples.csv")
    with (clone / "samples.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert list(rows) == [f"static_site/samples/{name}" for name in ("gray-card.png", "photo.jpg", "scan-16-bit.png")]
    assert float(rows["static_site/samples/photo.jpg"]["average_intensity"]) == detailed["average_intensity"]
    assert detailed["measurement"]["region"] == "0,0,200,100"
