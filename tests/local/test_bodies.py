"""The bodies of requests: slow, stalled, too large and refused ones; and what uvicorn makes of unusual requests.

The server of a worker runs in a thread of the test, and its idle timeout is a tenth of a second long.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, suppress
from json import loads
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect

from contract.problems import ProblemError
from local_server import app as app_module
from local_server import bodies
from local_server.app import make_app
from local_server.bodies import Budget, waiting
from local_server.cache import prepare_database
from local_server.start import UVICORN
from tests.core.samples import encoded, pixels
from tests.local.measuring import InProcessProcessor

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 0.4
# Far more than any of these takes.
TIMEOUT = 20
IMAGE = encoded(pixels("RGB"), "PNG")
FORM = "multipart/form-data; boundary=b"
FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"
LIMIT = 1_000_000


class Processor(InProcessProcessor):
    """Measures here. Like the local run's, it can be asked whether a client has gone."""

    def __init__(self, *_: object) -> None:
        self.gone = 0

    async def measure(self, invocation: Any) -> Any:  # noqa: ANN401 - as its parent
        if invocation.options.luma == "mean":
            try:
                async with waiting(TIMEOUT):
                    await asyncio.Event().wait()
            except ClientDisconnect:
                self.gone += 1
                raise
        return await super().measure(invocation)


@pytest.fixture(scope="module")
def processor() -> Processor:
    return Processor()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, processor: Processor) -> Iterator[int]:
    """The port of a server in a thread."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        patch.setattr(bodies, "IDLE_SECONDS", SECONDS)
        patch.setattr(bodies, "BYTES_PER_SECOND", 100_000)
        patch.setattr(bodies, "DISCARD_SECONDS", 1)
        patch.setattr(app_module, "make_processors", lambda *_: (processor, processor))
        prepare_database(folder / "cache.sqlite")
        app = make_app({"POWERTOOLS_LOG_LEVEL": "ERROR", "MAX_CONTENT_LENGTH": str(LIMIT)}, folder)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", **{**UVICORN, "lifespan": "off"}))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=server.run, args=[[listener]])
            thread.start()
            yield listener.getsockname()[1]
            server.should_exit = True
            thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def head(length: int, *more: str, path: str = "/intensity", kind: str = FORM) -> bytes:
    """The head of a request whose body has `length` bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def to_end(client: socket.socket) -> bytes:
    """All that arrives until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


def problem(received: bytes) -> tuple[int, str]:
    """The status and the code of an answer that is a problem."""
    start, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in start, received
    content: dict[str, Any] = loads(body)
    assert int(start.split()[1]) == content["status"]
    return content["status"], content["code"]


def dribble(client: socket.socket, piece: bytes) -> bytes:
    """Send a piece again and again until the server answers, and return its answer."""
    client.settimeout(0.02)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        try:
            first = client.recv(65_536)
        except TimeoutError:
            client.sendall(piece)
        else:
            client.settimeout(TIMEOUT)
            # The last byte may have crossed the answer. The system then breaks the connection, after the answer.
            with suppress(ConnectionResetError):
                first += to_end(client)
            return first
    raise AssertionError("it has waited for ever")


@pytest.mark.parametrize(("path", "kind"), [("/intensity", FORM), ("/uploads", "application/json")])
def test_a_body_below_the_least_rate_is_answered_408(port: int, path: str, kind: str) -> None:
    with connect(port) as client:
        client.sendall(head(10_000, path=path, kind=kind) + FORM_HEAD)
        received = dribble(client, b"x")
    assert problem(received) == (408, "request_timeout")
    assert b"connection: close" in received


def test_a_body_above_the_least_rate_may_take_longer_than_a_slow_one(port: int) -> None:
    body = FORM_HEAD + IMAGE + b"x" * 200_000 + FORM_END
    begun = time.monotonic()
    with connect(port) as client:
        client.sendall(head(len(body), "Connection: close"))
        for start in range(0, len(body), 10_000):
            client.sendall(body[start : start + 10_000])
            time.sleep(0.05)
        received = to_end(client)
    assert time.monotonic() - begun > 2 * SECONDS
    assert received.startswith(b"HTTP/1.1 200 ")


def test_many_slow_bodies_keep_nobody_out(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(connect(port))
            client.sendall(head(900_000) + FORM_HEAD)
        answer = httpx.post(f"http://127.0.0.1:{port}/intensity", files={"image": ("a.png", IMAGE + bytes(500_000))})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "lines", [["Content-Length: 7"], ["Content-Length: 7", "Transfer-Encoding: chunked"], ["Transfer-Encoding: gzip"]]
)
def test_a_length_that_is_said_in_two_ways_and_an_unknown_coding_are_refused(port: int, lines: list[str]) -> None:
    with connect(port) as client:
        client.sendall(head(5, *lines) + b"0\r\n\r\n")
        assert to_end(client).startswith(b"HTTP/1.1 400 ")


FRAMINGS = {
    "length": (b"Content-Length: %d\r\n\r\n%b", len(IMAGE)),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n", len(IMAGE)),
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("apart", [True, False])
def test_an_offer_to_speak_another_protocol_is_ignored(port: int, framing: str, *, apart: bool) -> None:
    """Java's client makes it with each first request over http."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    end, size = FRAMINGS[framing]
    first = b"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n" + offer + end % (size, IMAGE)
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connect(port) as client:
        for piece in [first[:50], first[50:200], first[200:], last] if apart else [first + last]:
            client.sendall(piece)
            time.sleep(0.02)
        received = to_end(client)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b'"average_intensity"' in received


def test_who_waits_before_it_sends_is_told_to_go_on(port: int) -> None:
    body = FORM_HEAD + IMAGE + FORM_END
    with connect(port) as client:
        client.sendall(head(len(body), "Connection: close", "Expect: 100-continue"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert to_end(client).startswith(b"HTTP/1.1 200 ")


def test_who_waits_before_it_sends_too_much_is_refused_unread(port: int) -> None:
    with connect(port) as client:
        client.sendall(head(2 * LIMIT, "Expect: 100-continue"))
        received = to_end(client)
    assert problem(received) == (413, "file_too_large")
    assert b"connection: close" in received


@pytest.mark.parametrize(("kind", "status"), [(FORM, 413), ("text/plain", 400)])
def test_a_refusal_reaches_a_client_that_is_still_sending(port: int, kind: str, status: int) -> None:
    """Most clients write everything before they read. Their connection must not be closed before."""
    with connect(port) as client:
        client.sendall(head(5 * LIMIT, "Connection: close", kind=kind) + bytes(5 * LIMIT))
        received = to_end(client)
    assert problem(received)[0] == status


def test_a_body_without_an_end_is_left_after_some_seconds(port: int) -> None:
    begun = time.monotonic()
    with connect(port) as client, suppress(ConnectionError):
        client.sendall(head(10**15))
        while time.monotonic() - begun < TIMEOUT:
            client.sendall(bytes(100_000))
    assert time.monotonic() - begun < TIMEOUT


def test_whoever_wants_to_know_hears_that_a_client_has_gone(port: int, processor: Processor) -> None:
    body = FORM_HEAD + IMAGE + FORM_END
    with connect(port) as client:
        client.sendall(head(len(body), path="/intensity?luma=mean") + body)
        time.sleep(0.2)
        assert not processor.gone
    end = time.monotonic() + TIMEOUT
    while not processor.gone:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_memory_for_bodies_is_first_come_first_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WAIT_SECONDS", 0.2)

    async def run() -> list[str]:
        budget, order = Budget(10), []
        await budget.take(6)

        async def take(name: str, size: int) -> None:
            await budget.take(size)
            order.append(name)
            await asyncio.sleep(0.01)
            budget.give_back(size)

        # The small one would fit, but came later.
        waiting = [asyncio.create_task(take(name, size)) for name, size in [("large", 8), ("small", 2), ("all", 10)]]
        await asyncio.sleep(0.05)
        assert order == []
        cancelled = asyncio.create_task(take("cancelled", 10))
        await asyncio.sleep(0)
        cancelled.cancel()
        budget.give_back(6)
        await asyncio.gather(*waiting)
        assert budget.free == 10
        await budget.take(9)
        with pytest.raises(ProblemError, match="busy"):
            await budget.take(2)
        await budget.take(1)
        assert budget.free == 0
        return order

    assert asyncio.run(run()) == ["large", "small", "all"]
