"""The gateway in the hands of a test: fakes behind it, a caller in front of it, and its log."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from functools import cache as cache_of
from typing import TYPE_CHECKING, Any, TypeVar

import fakeredis
import httpx

from contract.invocation import measurement_answer
from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import Cache
from gateway.measuring.direct_uploads import make_s3_client, make_uploads
from gateway.measuring.jobs import Jobs
from gateway.measuring.processor_client import Answer
from gateway.measuring.redis_store import RedisStore
from gateway.settings import Settings
from image_intensity import Measurement, Statistics

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from starlette.types import Message, Scope
    from types_boto3_s3 import S3Client

    from contract.invocation import Invocation, StoredImage
    from gateway.measuring.jobs import JobQueue
    from gateway.measuring.processor_client import Processor

Result = TypeVar("Result")

STATISTICS = Statistics(
    minimum=0.0,
    maximum=255.0,
    median=0.0,
    standard_deviation=120.2,
    percentiles={"1": 0.0, "5": 0.0, "25": 0.0, "75": 255.0, "95": 255.0, "99": 255.0},
    entropy=0.918,
    share_black=2 / 3,
    share_white=1 / 3,
)
# What the tests sign with, as a deployment does with its own.
SECRET_KEY = "secret of the tests"
BOUNDARY = b"boundary"
CONTENT_TYPE = "multipart/form-data; boundary=boundary"
IMAGE = b"the bytes of an image"
PROBLEM_MEMBERS = ["type", "title", "status", "detail", "code", "request_id"]


def measurement(**different: Any) -> Measurement:  # noqa: ANN401 - any field of a measurement
    """A measurement with an intensity that no short decimal spells."""
    usual: dict[str, Any] = {
        "average_intensity": 100 / 3,
        "image_format": "PNG",
        "image_size": (3, 2),
        "original_mode": "RGB",
        "pixel_count": 6,
        "image_size_bytes": len(IMAGE),
        "statistics": STATISTICS,
        "histogram": (4, *(0,) * 254, 2),
    }
    return Measurement(**{**usual, **different})


class FakeProcessor:
    """Answers with `answer`, or raises it, and remembers its invocations."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.answer: Measurement | Exception = measurement()

    @property
    def images(self) -> list[bytes | StoredImage]:
        return [invocation.image for invocation in self.invocations]

    async def measure(self, invocation: Invocation) -> Answer:
        self.invocations.append(invocation)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Answer(self.answer)


class FakeLambda:
    """The client of boto3 for Lambda, with a function that has the same answer for every image."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.measurement: Measurement = measurement()

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.payloads.append({"function": FunctionName, **json.loads(Payload)})
        return {"Payload": io.BytesIO(json.dumps(measurement_answer(self.measurement)).encode())}


@cache_of
def s3_client(_region: str) -> S3Client:
    """The client that signs forms. To make one takes longer than all else in a test."""
    return make_s3_client()


def part(content: bytes = IMAGE, name: str = "image", filename: str | None = "photo.png") -> bytes:
    """One part of a form; without a file name it is a text field."""
    named = f'; filename="{filename}"' if filename is not None else ""
    header = f'Content-Disposition: form-data; name="{name}"{named}\r\n'.encode()
    return b"--" + BOUNDARY + b"\r\n" + header + b"\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A complete form."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


class Gateway:
    """An application with fakes, called without a network. All its requests run on one event loop, as on Lambda.

    server: the fake Redis. redis: a client for the test to look into it. client: the one that the cache has.
    """

    def __init__(  # noqa: PLR0913 - the parts of the application, and its own fakes
        self,
        variables: Mapping[str, str] | None = None,
        *,
        server: fakeredis.FakeServer | None = None,
        cache: Cache | None = None,
        with_cache: bool = True,
        processor: Processor | None = None,
        allowed_hosts: tuple[str, ...] | None = None,
        queue: JobQueue | None = None,
    ) -> None:
        self.settings = Settings.load({"SECRET_KEY": SECRET_KEY, **(variables or {})})
        self.logger = make_logger(self.settings)
        self.output = io.StringIO()
        for handler in self.logger.handlers:
            assert hasattr(handler, "setStream")
            handler.setStream(self.output)
        self.server = server or fakeredis.FakeServer()
        self.redis: Any = fakeredis.FakeRedis(server=self.server)
        self.client: Any = fakeredis.FakeAsyncRedis(server=self.server)
        self.store = RedisStore(lambda: self.client)
        self.redis_cache = Cache(self.store if with_cache else None, self.settings, self.logger)
        self.processor = FakeProcessor()
        self.loop = asyncio.Runner()
        uploads = make_uploads(self.settings)
        if uploads:
            uploads.client = cache_of(lambda: s3_client(os.environ["AWS_DEFAULT_REGION"]))
        self.app = create_app(
            self.settings,
            cache=cache or self.redis_cache,
            processor=processor or self.processor,
            uploads=uploads,
            jobs=Jobs(self.store, queue, "secret", self.logger) if queue else None,
            logger=self.logger,
            allowed_hosts=allowed_hosts,
        )

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop of this gateway."""
        return self.loop.run(coroutine)

    def close(self) -> None:
        """Close the connections of the cache, and the loop."""
        self.run(self.client.aclose())
        self.loop.close()

    def request(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """One request, as a well-behaved client makes it."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await client.request(method, path, content=content, headers=headers)

        return self.run(call())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers=headers)

    def post(self, content: bytes, *, content_type: str = CONTENT_TYPE, **headers: str) -> httpx.Response:
        """Send a body to be measured. Underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/intensity", content=content, headers={"Content-Type": content_type, **named})

    def upload(self, content: bytes = IMAGE, filename: str = "photo.png", **headers: str) -> httpx.Response:
        """Send one file, as a well-behaved client does."""
        return self.post(form(part(content, filename=filename)), **headers)

    def converse(
        self,
        messages: Iterable[Message],
        headers: Mapping[str, str | bytes] | None = None,
        *,
        typed: bool = True,
        **scope: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Send the events of ASGI one by one, as a server does; after the last the client is gone.

        typed: whether the body is a form if `headers` do not say otherwise. The answer's extension "consumed" says how
        many bytes of the body the application had taken by then; its status is 0 if there was none.
        """
        usual = {"content-type": CONTENT_TYPE} if typed else {}
        return self.run(self._converse(messages, {**usual, **(headers or {})}, scope))

    async def _converse(
        self, messages: Iterable[Message], headers: Mapping[str, str | bytes], different: Mapping[str, Any]
    ) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/intensity",
            "raw_path": b"/intensity",
            "query_string": b"",
            "root_path": "",
            "headers": [
                (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
                for name, value in headers.items()
            ],
            "client": ("192.0.2.7", 4711),
            "server": ("gateway", 80),
            **different,
        }
        coming = iter(messages)
        sent: list[Message] = []
        consumed = 0

        async def receive() -> Message:
            nonlocal consumed
            message = next(coming, {"type": "http.disconnect"})
            consumed += len(message.get("body", b""))
            return message

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        start: Message = sent[0] if sent else {"status": 0, "headers": []}
        return httpx.Response(
            start["status"], headers=start["headers"], content=body, extensions={"consumed": consumed}
        )

    def log(self, message: str | None = None) -> list[dict[str, Any]]:
        """The lines of the log, or those with this message."""
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if message in {None, line["message"]}]


MakeGateway = Callable[..., Gateway]


def chunks(*bodies: bytes) -> list[Message]:
    """The events of a body that arrives in these pieces."""
    last = len(bodies) - 1
    return [{"type": "http.request", "body": body, "more_body": at < last} for at, body in enumerate(bodies)]


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, in the one shape that there is; returns its members."""
    content: dict[str, Any] = response.json()
    assert (response.status_code, content.get("code")) == (status, code), content
    assert response.headers["content-type"] == "application/problem+json"
    assert list(content) == PROBLEM_MEMBERS
    assert content["type"] == f"urn:image-intensity:problem:{code}"
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    assert content["request_id"] == response.headers["x-request-id"]
    return content
