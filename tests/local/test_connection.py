"""The answers of the local server on the wire: in as few pieces as possible, and in the right order."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local_server.connection import Answers, Patience
from tests.local.test_slow_clients import TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

BODY = b"HTTP/1.1 is not only how a head begins"
LARGE = bytes(range(256)) * 4000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers that have a body of one piece, of several, or none."""
    assert scope["type"] == "http"
    pieces = {"/one": [BODY], "/many": [b"", b"first", BODY, LARGE]}.get(scope["path"], [b""])
    if scope["method"] == "POST":
        received, more = [], True
        while more:
            message = await receive()
            received.append(message["body"])
            more = message["more_body"]
        pieces = received if scope["path"] == "/echo" else [b"%d" % len(received)]
    headers = [] if scope["path"] == "/many" else [(b"content-length", b"%d" % sum(map(len, pieces)))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await asyncio.sleep(0.01)
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(Patience(), app=app) as port:
        yield port


def exchange(port: int, sent: bytes) -> bytes:
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
        client.sendall(sent)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(65_536):
        received += piece
    return received


def test_answers_of_every_kind_arrive_whole_on_one_connection(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT) as client:
        for _ in range(2):
            assert client.get("/one").content == BODY
            assert client.get("/many").content == b"first" + BODY + LARGE
            assert client.get("/none").content == b""
            assert client.head("/one").headers["content-length"] == str(len(BODY))
            assert client.post("/echo", content=LARGE).content == LARGE


def test_requests_that_are_sent_together_are_answered_in_order(port: int) -> None:
    request = b"%s /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    sent = [
        (b"GET", b"one", b""),
        (b"HEAD", b"one", b""),
        (b"GET", b"none", b""),
        (b"GET", b"one", b"Connection: close\r\n"),
    ]
    received = exchange(port, b"".join(request % each for each in sent))
    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert received.count(BODY) == 2
    assert received.endswith(b"connection: close\r\n\r\n" + BODY)


FRAMINGS = {
    "length": (b"Content-Length: 5\r\n\r\n", b"image"),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nimage\r\n0\r\n\r\n"),
    "a body that looks like a request": (b"Content-Length: 21\r\n\r\n", b"GET /one HTTP/1.1\r\n\r\n"),
}


@pytest.mark.parametrize(("end", "body"), FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("apart", [True, False])
def test_an_offer_to_speak_another_protocol_is_ignored(port: int, end: bytes, body: bytes, *, apart: bool) -> None:
    """Java's client makes it with each request over http."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n" + offer + end
    further = b"GET /none HTTP/1.1\r\nHost: localhost\r\n" + offer + b"\r\n"
    last = b"GET /one HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
        pieces = [head[:50], head[50:], body, further, last] if apart else [head + body + further + last]
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.02)
        received = rest(client)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    sent = b"image" if b"image" in body else body
    assert received.partition(b"\r\n\r\n")[2].startswith(sent + b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\n" + BODY)


def test_many_offers_in_one_piece_are_answered(port: int) -> None:
    offer = b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = offer.replace(b"Connection: Upgrade", b"Connection: Upgrade, close")
    assert exchange(port, 100 * offer + last).count(b"HTTP/1.1 200 OK\r\n") == 101


def test_a_connection_to_elsewhere_is_refused(port: int) -> None:
    for target in (b"example.org:443", b"/one"):
        received = exchange(
            port, b"CONNECT " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\nGET /one HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert received.startswith(b"HTTP/1.1 400 ")
        assert received.count(b"HTTP/1.1 ") == 1


WHOLE = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nimage"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nimage\r\n"
MALFORMED = {
    "garbage": b"garbage\r\n\r\n" + WHOLE,
    "no host": b"GET /one HTTP/1.1\r\n\r\n",
    "a broken body": CHUNKED + b"x\r\n",
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("before", [1, 2, 3])
def test_whole_requests_before_a_malformed_one_are_answered_first(port: int, malformed: bytes, before: int) -> None:
    received = exchange(port, before * WHOLE + malformed)
    *answers, refusal = received.split(b"HTTP/1.1 ")[1:]
    assert [(answer[:6], answer[-5:]) for answer in answers] == [(b"200 OK", b"image")] * before
    assert refusal.startswith(b"400 ")
    assert b"connection: close" in refusal


def test_a_fault_in_a_body_is_answered_at_once(port: int) -> None:
    received = exchange(port, CHUNKED + b"x\r\n")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


HEADS = {
    "no host": (b"GET /one HTTP/1.1\r\n\r\n", b"400"),
    "two hosts": (b"GET /one HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", b"400"),
    "two hosts of HTTP/1.0": (b"GET /one HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", b"400"),
    "no host of HTTP/1.0": (b"GET /one HTTP/1.0\r\n\r\n", b"200"),
    "no version": (b"GET /one\r\n\r\n", b"400"),
    "HTTP/2.0": (b"GET /one HTTP/2.0\r\nHost: a\r\n\r\n", b"400"),
    "an empty host": (b"GET /one HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", b"200"),
    "no host, and an offer": (b"GET /one HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"400"),
}


@pytest.mark.parametrize(("head", "status"), HEADS.values(), ids=HEADS)
def test_a_head_has_a_version_and_one_host(port: int, head: bytes, status: bytes) -> None:
    received = exchange(port, head)
    assert received.startswith(b"HTTP/1.1 " + status + b" ")
    assert received.count(b"HTTP/1.1 ") == (2 if BODY in received else 1)


def test_who_waits_before_it_sends_is_told_to_go_on(port: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
        client.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"image")
        received = rest(client)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nimage")


def test_the_application_is_not_woken_for_each_piece_of_a_body(port: int) -> None:
    head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
        client.sendall(head)
        for _ in range(50):
            client.sendall(bytes(1000))
            time.sleep(0.005)
        assert rest(client).endswith(b"\r\n\r\n1")


class Written(asyncio.Transport):
    """A transport that notes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Any] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.pieces.append(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.pieces.append("closed")


def test_a_head_goes_with_the_first_of_its_body_and_never_stays_behind() -> None:
    head, more = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"
    transport = Written()
    answers = Answers(transport)
    for piece in (more, head, b"body", b"rest", head):
        answers.write(piece)
    assert transport.pieces == [more, head + b"body", b"rest"]
    answers.flush()
    answers.flush()
    answers.write(head)
    answers.close()
    assert transport.pieces[3:] == [head, head, "closed"]
