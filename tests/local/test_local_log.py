"""What `make run` writes while it serves: lines for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time

import httpx
import pytest

from local_server.local_log import Lines
from tests.core.samples import encoded, pixels
from tests.server import environment, running_server

IMAGE = encoded(pixels("RGB"), "PNG")
LONG = "x" * 5000


@pytest.fixture(scope="module")
def terminal() -> list[str]:
    """What a person sees who starts the server in a terminal, sends some requests, and presses Ctrl+C."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "local_server"], env=environment(), stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while b"stops it" not in seen:
            assert select.select([ours], [], [], 30)[0], seen
            seen += os.read(ours, 65_536)
        address = seen.split()[3].decode()
        for _ in range(2):
            httpx.post(f"{address}/intensity", files={"image": ("a.png", IMAGE)}, timeout=30)
        httpx.get(f"{address}/health")
        httpx.get(f"{address}/%1b[2J%0anothing/{LONG}")
        process.send_signal(2)
        time.sleep(0.1)
        while piece := read(ours):
            seen += piece
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return seen.decode().splitlines()[1:]


def read(terminal: int) -> bytes:
    """Some more of what was written; nothing at the end."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_a_terminal_shows_a_line_for_people_for_each_request_but_none_for_health_checks(terminal: list[str]) -> None:
    begin = r"\d\d:\d\d:\d\d "
    patterns = [
        begin + r"POST /intensity 200 \d+\.\d ms miss",
        begin + r"POST /intensity 200 \d+\.\d ms hit",
        begin + r"GET  /\\x1b\[2J\\nnothing/x{100,200}\S* 404 \d+\.\d ms not_found",
    ]
    assert len(terminal) == len(patterns), terminal
    for line, pattern in zip(terminal, patterns, strict=True):
        assert re.fullmatch(pattern, line), line


def test_elsewhere_the_lines_are_json_and_long_paths_are_cut_there_and_in_answers() -> None:
    with running_server() as server:
        httpx.get(f"{server.address}/health")
        httpx.get(f"{server.address}/health/ready", timeout=30)
        answer = httpx.get(f"{server.address}/{LONG}")
        assert server.interrupt() == 0
        [line] = [json.loads(line) for line in server.output("out").splitlines()[1:]]
    assert len(line["extra_info"]["path"]) < 300
    assert len(answer.text) < 1000
    assert answer.json()["code"] == "not_found"


def test_the_last_line_is_written_before_a_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(_: int, line: bytes) -> int:
        time.sleep(0.2)
        written.append(line)
        return len(line)

    lines = Lines()
    monkeypatch.setattr(os, "write", write)
    lines.handle(logging.makeLogRecord({"msg": "the last one"}))
    lines.flush()
    monkeypatch.undo()
    assert written == [b"the last one\n"]


def test_the_service_goes_on_while_nobody_reads_its_log() -> None:
    process = subprocess.Popen([sys.executable, "-m", "local_server"], env=environment(), stdout=subprocess.PIPE)
    assert process.stdout
    try:
        address = process.stdout.readline().split()[3].decode()
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        # The pipe takes a dozen lines.
        with httpx.Client(base_url=address, timeout=10) as client:
            assert {client.get("/nothing").status_code for _ in range(100)} == {404}
        process.send_signal(2)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
