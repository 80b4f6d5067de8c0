"""Slow and greedy clients: each gets an answer or is let go, and the others do not notice.

The server of a worker runs in a thread of the test, and its patience is counted in tenths of a second.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from json import loads
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.datastructures import UploadFile

from local_server.app import make_app
from local_server.connection import MAX_HEAD_BYTES, Patience
from local_server.listening import listen
from local_server.serving import make_server
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

IMPATIENT = Patience(head_seconds=0.3, idle_seconds=0.3, body_seconds=0.3, bytes_per_second=100_000, tick_seconds=0.05)
# Far more than any of these takes.
TIMEOUT = 20
IMAGE = encoded(pixels("RGB"), "PNG")
FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"


@contextmanager
def serving(patience: Patience = IMPATIENT, max_connections: int = 1000, app: ASGIApp | None = None) -> Iterator[int]:
    """Serve the service, or another application, in a thread, and give the port."""
    with listen("127.0.0.1", 0) as listener:
        started = threading.Event()
        app = app or make_app({"POWERTOOLS_LOG_LEVEL": "ERROR"})
        server = make_server(app, 5_242_880, started.set, patience=patience, max_connections=max_connections)
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            assert started.wait(TIMEOUT)
            yield port
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module", autouse=True)
def no_metrics() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        yield


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def head(length: int, *more: str) -> bytes:
    """The head of a request whose body has `length` bytes."""
    lines = ["POST /intensity HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=b", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def to_end(client: socket.socket) -> bytes:
    """All that arrives until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


def problem(received: bytes) -> tuple[int, str]:
    """The status and the code of an answer that is a problem."""
    start, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in start
    content: dict[str, Any] = loads(body)
    assert int(start.split()[1]) == content["status"]
    return content["status"], content["code"]


def test_a_connection_that_sends_nothing_is_closed(port: int) -> None:
    with connect(port) as client:
        assert to_end(client) == b""


def test_a_head_that_does_not_end_is_answered_408_though_bytes_arrive(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        received = dribble(client, b"x")
    assert problem(received) == (408, "request_timeout")


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


def test_an_idle_connection_is_closed_after_its_answer(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = to_end(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", [b"/intensity", b"/uploads", b"/nothing"])
def test_a_body_below_the_least_rate_is_answered_408(port: int, path: bytes) -> None:
    with connect(port) as client:
        client.sendall(head(100_000).replace(b"/intensity", path) + FORM_HEAD)
        received = dribble(client, b"x")
    # What does not depend on the body is answered with its own problem, without the rest of the body.
    expected = (404, "not_found") if path != b"/intensity" else (408, "request_timeout")
    assert problem(received) == expected


def test_a_body_above_the_least_rate_may_take_longer_than_the_patience(port: int) -> None:
    body = FORM_HEAD + IMAGE + b"x" * 200_000 + FORM_END
    begun = time.monotonic()
    with connect(port) as client:
        client.sendall(head(len(body), "Connection: close"))
        for start in range(0, len(body), 10_000):
            client.sendall(body[start : start + 10_000])
            time.sleep(0.05)
        received = to_end(client)
    assert time.monotonic() - begun > 3 * IMPATIENT.body_seconds
    assert not received.startswith(b"HTTP/1.1 408")


def test_an_answer_that_is_not_taken_is_given_up(capfd: pytest.CaptureFixture[str]) -> None:
    with serving() as port, connect(port) as client:
        # The answers, 45 MB, are more than the kernel takes by itself.
        client.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
        time.sleep(10 * IMPATIENT.body_seconds)
        received = to_end(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 200 ") < 30
    assert capfd.readouterr() == ("", "")


def test_a_length_that_is_said_in_two_ways_is_refused(port: int) -> None:
    with connect(port) as client:
        client.sendall(head(5, "Transfer-Encoding: chunked") + b"0\r\n\r\n")
        assert problem(to_end(client)) == (400, "malformed_request")


def test_what_is_not_http_is_refused_and_nothing_is_logged(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with connect(port) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert problem(to_end(client)) == (400, "malformed_request")
    assert capfd.readouterr() == ("", "")


def test_a_head_without_an_end_is_refused_when_it_is_too_long(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * MAX_HEAD_BYTES)
        assert problem(to_end(client)) == (400, "malformed_request")


def trailed(trailers: bytes) -> bytes:
    """A request that measures the image, with these fields after it."""
    start = (
        b"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return start + b"%x\r\n%b\r\n0\r\n%b" % (len(IMAGE), IMAGE, trailers)


def test_fields_after_a_body_are_not_those_of_the_request(port: int) -> None:
    with connect(port) as client:
        client.sendall(trailed(b"X-Request-ID: forged\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"))
        received = to_end(client)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"forged" not in received


def test_fields_after_a_body_are_refused_when_they_have_no_end(port: int) -> None:
    with connect(port) as client:
        client.sendall(trailed(b"X-Long: "))
        time.sleep(0.05)
        client.sendall(b"x" * (MAX_HEAD_BYTES + 1))
        assert problem(to_end(client)) == (400, "malformed_request")


def test_the_head_of_a_further_request_has_the_same_bound() -> None:
    answering = threading.Event()

    async def slow(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        while not answering.is_set():  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    sent = 0
    with serving(Patience(), app=slow) as port, connect(port) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        client.settimeout(1)
        with suppress(TimeoutError):
            while sent < 100_000_000:
                sent += client.send(bytes(100_000).replace(b"\0", b"x"))
        answering.set()
        client.settimeout(TIMEOUT)
        received = client.recv(65_536)
    # What the kernel keeps for both is some megabytes.
    assert sent < 50_000_000
    assert received.startswith(b"HTTP/1.1 204 ")


def test_an_idle_connection_is_kept_for_longer_than_a_body_is_waited_for() -> None:
    with serving(Patience(idle_seconds=60, body_seconds=0.2, tick_seconds=0.05)) as port, connect(port) as client:
        for _ in range(2):
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.5)


def test_no_timer_ends_an_idle_connection_before_its_patience_does() -> None:
    patience = Patience()
    config = make_server(make_app({}), 1, patience=patience).config
    assert config.timeout_keep_alive > patience.idle_seconds


def test_idle_connections_make_room_for_one_that_sends_a_request() -> None:
    with serving(Patience(), max_connections=10) as port, ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(50)]
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\n")
        assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT).status_code == 200
        # The first one was let go, and got no 408: that would have come at the end of its patience.
        assert to_end(clients[0]) == b""


def test_without_room_a_client_is_told_so_at_once() -> None:
    with serving(Patience(), max_connections=3) as port, ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(connect(port))
            client.sendall(head(100_000, "Expect: 100-continue"))
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        with connect(port) as client:
            received = to_end(client)
        assert problem(received) == (503, "processor_busy")
        assert b"retry-after: 1\r\n" in received


def test_nothing_of_a_body_that_was_given_up_stays_in_memory(port: int) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with connect(port) as client:
                client.sendall(head(5_000_000) + FORM_HEAD + b"given up" * 100_000)
                assert problem(to_end(client)) == (408, "request_timeout")
        time.sleep(2 * IMPATIENT.tick_seconds)
        kept = [each for each in gc.get_objects() if isinstance(each, UploadFile)]
    finally:
        gc.enable()
    assert kept == []


def test_stalled_uploads_hold_neither_memory_nor_others_up() -> None:
    """The budget has room for 13 of them; the others wait unread. A large and a small upload pass nevertheless."""
    patience = Patience(body_seconds=3, tick_seconds=0.05)
    with serving(patience) as port, ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(connect(port))
            client.sendall(head(5_000_000) + FORM_HEAD + bytes(10_000))
        for padding in (0, 2_000_000):
            files = {"image": ("a.png", IMAGE + bytes(padding))}
            answer = httpx.post(f"http://127.0.0.1:{port}/intensity", files=files, timeout=TIMEOUT)
            assert (answer.status_code, answer.json().get("code")) == (200, None)
