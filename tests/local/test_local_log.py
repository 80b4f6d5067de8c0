"""What `make run` writes while it serves: lines for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from gateway.log import make_logger
from gateway.settings import Settings
from local_server.local_log import LinesForPrograms, LinesTogether
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


def test_the_line_of_a_request_is_the_one_that_the_gateway_writes_on_lambda() -> None:
    logger = make_logger(Settings.load({}))
    gateways = logger.handlers[0].formatter
    assert gateways
    request = record("request")
    request.extra_info = {"path": "/\u00e9", "duration_ms": 1.5, "cache": None}
    logger.thread_safe_append_keys(request_id="the-id")
    try:
        line = LinesForPrograms(logger.service).format(request)
        assert line == gateways.format(request)
    finally:
        logger.thread_safe_clear_keys()
    assert json.loads(line)["request_id"] == "the-id"


class CountingStream(io.StringIO):
    """A stream that counts how often it is flushed."""

    flushed = 0

    def flush(self) -> None:
        """Count."""
        self.flushed += 1


def test_lines_of_one_turn_of_the_loop_are_written_together_and_others_at_once() -> None:
    stream = CountingStream()
    handler = LinesTogether(stream)

    async def turn() -> None:
        for number in range(3):
            handler.handle(record(f"line {number}"))
        assert stream.flushed == 0
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert stream.flushed == 1
    handler.handle(record("the last one"))
    assert stream.flushed == 2
    assert stream.getvalue().splitlines() == ["line 0", "line 1", "line 2", "the last one"]


class NotingStream(io.StringIO):
    """A stream that notes what is written by each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def flush(self) -> None:
        """Take what is there."""
        if self.getvalue():
            self.writes.append(self.getvalue())
            self.seek(0)
            self.truncate()


def test_lines_of_several_workers_in_one_pipe_are_not_mixed_up() -> None:
    """POSIX promises it for writes of up to PIPE_BUF bytes."""
    stream = NotingStream()
    handler = LinesTogether(stream)

    async def turn() -> None:
        for _ in range(100):
            handler.handle(record("ä" * 100))
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert all(len(written.encode()) <= select.PIPE_BUF and written.endswith("\n") for written in stream.writes)
    assert "".join(stream.writes).splitlines() == 100 * ["ä" * 100]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize("buffering", [1, -1], ids=["fails with the line", "fails at the end of the turn"])
def test_a_full_disk_is_told_once_and_raises_nothing(buffering: int, capfd: pytest.CaptureFixture[str]) -> None:
    stream = Path("/dev/full").open("w", buffering=buffering)  # noqa: SIM115 - to close it fails
    handler = LinesTogether(stream)

    async def turn() -> None:
        for _ in range(3):
            handler.handle(record("lost"))
            await asyncio.sleep(0)

    asyncio.run(turn())
    handler.handle(record("lost"))
    assert capfd.readouterr().err == "The log cannot be written: [Errno 28] No space left on device\n"
    with suppress(OSError):
        stream.close()


def record(message: str) -> logging.LogRecord:
    """A record of this message."""
    return logging.LogRecord("gateway", logging.INFO, "", 0, message, None, None)
