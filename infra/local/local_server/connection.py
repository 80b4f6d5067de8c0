"""One client's connection: uvicorn's, with patience for slow clients, a bound on connections, and problems as answers.

Patience is counted in seconds. It runs out while the service waits for the client: for the head of a request, for the
next bytes of a body, or until an answer is taken. Bytes of a body pay it back at the least rate, so that a large file
over a slow line is received, and a sender that stops is not waited for. It does not run out while the client waits for
the service.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.http.problems import MEDIA_TYPE, RETRY_AFTER, problem_content
from gateway.http.security import HEADERS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from uvicorn import Config
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from local_server.accepting import Shares

# What nginx and Node.js read of a head at most is 32 and 16 KB. The trailers of a body have the same bound.
MAX_HEAD_BYTES = 32 * 1024
SLOW_DETAIL = "The request did not arrive in time: its sender stopped, or was too slow."
CROWDED_DETAIL = "The service has too much to do. Please try again in a moment."
UNREADABLE_DETAIL = "This is not a request of HTTP/1.1, with one header Host and one way to say how long its body is."
VERSIONS = ("1.1", "1.0")
# How the head of an answer begins, and an answer before the answer, which uvicorn gives to who waits before it sends.
HEAD, CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "
# A sender with less of its patience left is late: under pressure, it makes room for others.
LATE_SHARE = 0.8

Result = TypeVar("Result")
# The connection of the request that is being answered.
current: ContextVar[Connection | None] = ContextVar("current", default=None)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for.

    head_seconds: for the head of a request, and for the first one. idle_seconds: between two requests. body_seconds:
    for the bytes of a body, and for the client to take an answer. bytes_per_second: what pays for a second of these.
    tick_seconds: how often it is looked at.
    """

    head_seconds: float = 10
    idle_seconds: float = 30
    body_seconds: float = 10
    bytes_per_second: int = 16 * 1024
    tick_seconds: float = 0.25


class Clients:
    """All connections of one process, and how many there may be."""

    def __init__(self, patience: Patience, limit: int) -> None:
        """Allow `limit` connections at a time."""
        self.patience = patience
        self.limit = limit
        # If other processes take connections from the same socket: where each tells how many it has.
        self.shares: Shares | None = None
        self.connections: set[Connection] = set()
        self.all_gone = asyncio.Event()
        self.all_gone.set()
        # Those from which no whole head has arrived; the one that has been waiting longest is the first.
        self.waiting: dict[Connection, None] = {}
        # Those that are late with a body; the latest is the last.
        self.late: list[Connection] = []

    def add(self, connection: Connection) -> bool:
        """Count one more connection. Returns False if there is no room for it.

        As nginx does it, room is made by closing the connection that has been waiting longest without a request. If
        there is none, the sender that is latest is given up.
        """
        self.connections.add(connection)
        self.count()
        self.all_gone.clear()
        if len(self.connections) > self.limit:
            if not self.waiting:
                return self.give_up_latest()
            next(iter(self.waiting)).transport.abort()
        self.waiting[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """Count one less."""
        self.connections.discard(connection)
        self.count()
        self.waiting.pop(connection, None)
        if not self.connections:
            self.all_gone.set()

    def count(self) -> None:
        """Tell other workers how many connections there are."""
        if self.shares:
            self.shares.tell(len(self.connections))

    def give_up_latest(self) -> bool:
        """Give up the sender that is latest with its body. Returns False if none is late."""
        while self.late:
            connection = self.late.pop()
            if connection.sending and not connection.given_up:
                connection.give_up(ProblemError(ProblemCode.PROCESSOR_BUSY, CROWDED_DETAIL))
                return True
        return False

    async def watch(self) -> None:
        """Let the patience with all clients run out, until cancelled."""
        seconds = self.patience.tick_seconds
        late = LATE_SHARE * self.patience.body_seconds
        while True:
            await asyncio.sleep(seconds)
            for connection in list(self.connections):
                connection.pass_time(seconds)
            found = [each for each in self.connections if each.sending and each.patience < late]
            self.late = sorted(found, key=lambda each: -each.patience)


class Answers(asyncio.Transport):
    """The transport for the answers of a connection. It sends the head of an answer with the first bytes of its body.

    uvicorn writes them one after the other. For a short answer, the second call would cost as much as the first.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Send over `transport`."""
        self.transport = transport
        self.head = b""
        self.is_closing = transport.is_closing  # type: ignore[method-assign]

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Keep a head until more is written. Send other data, after the head that was kept."""
        if not self.head and data.startswith(HEAD) and not data.startswith(CONTINUE):
            self.head = data
        else:
            self.transport.write(self.head + data)
            self.head = b""

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self.head:
            self.write(b"")

    def close(self) -> None:
        """Close the connection when all has been sent."""
        self.flush()
        self.transport.close()


class Connection(HttpToolsProtocol):
    """A connection that does not wait for ever."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **others: Any) -> None:  # noqa: ANN401 - uvicorn's
        """Make a connection as uvicorn does. The state of the application has the `Clients`."""
        super().__init__(config, server_state, app_state, **others)
        self.clients: Clients = app_state["clients"]
        self.patience = self.clients.patience.head_seconds
        # What has arrived since the last of a body: a part of a head, or of trailers.
        self.head_bytes = 0
        # Whether the fields that arrive are those of a head, and not the trailers of a body.
        self.fields_of_head = True
        self.unsent = 0
        # While the service itself is not ready to take the body.
        self.held_back = False
        # The request that is being answered. Others may have been sent after it, and wait.
        self.running: RequestResponseCycle | None = None
        self.closed: asyncio.Future[None] = self.loop.create_future()
        # Why the request is not waited for any more.
        self.given_up: ProblemError | None = None
        # What is wrong with the last that arrived, to be answered after the requests before it.
        self.fault = ""

    @property
    def in_head(self) -> bool:
        """Whether the head of a request is waited for."""
        return self in self.clients.waiting

    @property
    def sending(self) -> bool:
        """Whether the body of a request is waited for."""
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or say at once that there is no room for another client."""
        super().connection_made(transport)
        self.answers = Answers(transport)
        if not self.clients.add(self):
            self.refuse(ProblemCode.PROCESSOR_BUSY, CROWDED_DETAIL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        super().connection_lost(exc)
        self.clients.remove(self)
        # uvicorn tells only the last request that the client has gone.
        if self.running:
            self.running.disconnected = True
        self.pipeline.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer a request."""
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take some bytes from the client."""
        if self.fault:
            self.flow.pause_reading()
            return
        if not self.in_head:
            self.pay_back(len(data))
        self.head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parse(data)
        except HttpParserError:
            self.refuse_in_turn(UNREADABLE_DETAIL)
            return
        # Not already at each piece, as uvicorn does it: often, the whole body is there by now.
        if self.sending and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        if self.head_bytes > MAX_HEAD_BYTES:
            self.refuse_in_turn(f"The head of the request, or what follows its body, is over {MAX_HEAD_BYTES:,} bytes.")

    def parse(self, data: bytes) -> None:
        """Parse some bytes. Raises HttpParserError.

        A client may offer another protocol with any request (RFC 9110, 7.8), as Java's does over http: `Upgrade: h2c`.
        httptools then takes what comes after the head for the other protocol. For us, it is the body, and then the next
        request. So the same head is parsed again without the offer.
        """
        left = memoryview(data)
        while True:
            try:
                self.parser.feed_data(left)
            except HttpParserUpgrade as offer:
                left = left[offer.args[0] :]
            else:
                return
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            if method == b"CONNECT":
                raise HttpParserError("this is no proxy")
            headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = HttpRequestParser(self)
            # As uvicorn's own.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(headers)))

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self.fields_of_head = True
        self.patience = self.clients.patience.head_seconds
        self.scope["state"]["connection"] = self

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of a head. Those after a body are ignored: nobody has checked them (RFC 9110, 6.5.1)."""
        if self.fields_of_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request: its head is there. Raises HttpParserError if it is not of HTTP/1.1 or 1.0."""
        if self.parser.should_upgrade():
            # It comes again: see `parse`.
            return
        version, hosts = self.parser.get_http_version(), [name for name, _ in self.headers].count(b"host")
        # Only HTTP/1.0 did without (RFC 9112, 3.2). With two, a proxy might believe the other one.
        if version not in VERSIONS or hosts > 1 or (not hosts and version != "1.0"):
            raise HttpParserError(UNREADABLE_DETAIL)
        self.clients.waiting.pop(self, None)
        self.head_bytes = 0
        self.fields_of_head = False
        self.patience = self.clients.patience.body_seconds
        super().on_headers_complete()
        self.cycle.transport = self.answers

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body. The application gets it when the body is whole, or when there is enough of it.

        uvicorn would wake the application for each piece, and over a network there are many. The first piece is kept as
        it is, and further ones are added to a bytearray.
        """
        self.head_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body  # type: ignore[assignment]
        else:
            if isinstance(cycle.body, bytes):
                cycle.body = bytearray(cycle.body)
            cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note that the whole request is there."""
        if not self.parser.should_upgrade():
            self.head_bytes = 0
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.answers.flush()
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.fault and self.cycle.response_complete:
            self.refuse(ProblemCode.MALFORMED_REQUEST, self.fault)
        elif self.cycle.response_complete:
            self.clients.waiting[self] = None
            self.patience = self.clients.patience.idle_seconds

    def pay_back(self, size: int) -> None:
        """Have more patience for `size` bytes that were sent or taken."""
        if size:
            patience = self.clients.patience
            self.patience = min(patience.body_seconds, self.patience + size / patience.bytes_per_second)

    def pass_time(self, seconds: float) -> None:
        """Have less patience, if it is the client that is waited for."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and not self.unsent:
            self.patience = self.clients.patience.body_seconds
        self.pay_back(max(0, self.unsent - unsent))
        self.unsent = unsent
        reading = self.in_head or (self.sending and not self.flow.read_paused and not self.held_back)
        if unsent or reading:
            self.patience -= seconds
        if self.patience <= 0:
            self.lose_patience()

    def resume_writing(self) -> None:
        """Note that the client has taken so much of an answer that more of it can be written."""
        super().resume_writing()
        self.unsent = 0

    def lose_patience(self) -> None:
        """End the wait for a client."""
        if self.unsent or self.given_up:
            self.transport.abort()
        elif not self.in_head:
            self.give_up(ProblemError(ProblemCode.REQUEST_TIMEOUT, SLOW_DETAIL))
        elif self.head_bytes:
            self.refuse(ProblemCode.REQUEST_TIMEOUT, SLOW_DETAIL)
        else:
            self.transport.close()

    def give_up(self, problem: ProblemError) -> None:
        """Do not wait for the rest of a body. The application gets `problem` instead of it, and answers with that."""
        self.given_up = problem
        # Time to take the answer.
        self.patience = self.clients.patience.body_seconds
        self.cycle.keep_alive = False
        self.cycle.message_event.set()

    def refuse_in_turn(self, detail: str) -> None:
        """Answer a malformed request with a problem, after the answers to those before it.

        If its own answer has begun, because the fault is in its body, the connection just ends.
        """
        running, own = self.running, self.sending and self.running is self.cycle
        if not running or running.response_complete or (own and not running.response_started):
            self.refuse(ProblemCode.MALFORMED_REQUEST, detail)
        elif own:
            self.transport.abort()
        else:
            self.fault = detail
            self.flow.pause_reading()
            if self.sending:
                # It is in the body of a request whose turn has not come, and will not.
                self.pipeline.popleft()
                self.cycle = self.pipeline[0][0] if self.pipeline else running

    def refuse(self, code: ProblemCode, detail: str) -> None:
        """Answer with a problem without the application, and close the connection."""
        request_id = str(uuid.uuid4())
        body = json.dumps(problem_content(code, detail, request_id)).encode()
        headers = {**HEADERS, "content-type": MEDIA_TYPE, "content-length": len(body), "x-request-id": request_id}
        if code in RETRY_AFTER:
            headers["retry-after"] = RETRY_AFTER[code]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        status = STATUS_LINE[PROBLEM_TYPES[code].status]
        self.transport.write(status + lines.encode() + b"connection: close\r\n\r\n" + body)
        self.clients.waiting.pop(self, None)
        self.transport.close()


async def unless_gone(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what `work` returns. If the client closes its connection before, cancel `work` and raise ClientDisconnect.

    The client is that of the current request. Where there is none, `work` is just done.
    """
    connection = current.get()
    if not connection:
        return await work
    task = asyncio.create_task(work)
    waited_for: set[asyncio.Future[Any]] = {task, connection.closed}
    try:
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
