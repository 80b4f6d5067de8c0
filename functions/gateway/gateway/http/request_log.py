"""What surrounds every request: its id, timings, log line and metrics, and the last net for faults."""

from __future__ import annotations

import re
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from contract.problems import ProblemCode
from gateway.http.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools import Logger
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CacheOutcome = Literal["hit", "miss", "bypass"]

METRICS_NAMESPACE = "ImageIntensity"
CALLERS_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# nginx's status for a client that went away before its answer; nobody receives it, the log shows it.
CLIENT_CLOSED_REQUEST = 499


@dataclass(slots=True)
class RequestLog:
    """What one request leaves behind: in its headers, its log line and its metrics.

    timings: milliseconds by name, for `Server-Timing`. cache: how the cache answered, None where none was asked.
    cache_failures: operations on the cache that failed (none is tried while the breaker is open).
    """

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    cache: CacheOutcome | None = None
    cache_failures: int = 0
    problem: ProblemCode | None = None
    status: int = 0

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request began."""
        return (time.perf_counter() - self.started) * 1000

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a part of the request, also when it fails."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0) + (time.perf_counter() - begun) * 1000


class RequestLogMiddleware:
    """The outermost layer: the request's id and log, the answer's headers, a log line and metrics."""

    def __init__(self, app: ASGIApp, logger: Logger, service_name: str) -> None:
        """Wrap `app`."""
        self.app = app
        self.logger = logger
        self.service_name = service_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        log = RequestLog(request_id(scope))
        scope.setdefault("state", {})["log"] = log
        self.logger.thread_safe_append_keys(request_id=log.request_id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                log.status = message["status"]
                add_headers(MutableHeaders(scope=message), log)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.status = CLIENT_CLOSED_REQUEST
        finally:
            self.write_log_line(scope, log)
            self.emit_metrics(log)

    def write_log_line(self, scope: Scope, log: RequestLog) -> None:
        """Write the one line of this request."""
        line = {
            "method": scope["method"],
            "path": scope["path"],
            "ip": (scope.get("client") or ("",))[0],
            "status_code": log.status,
            "duration_ms": round(log.elapsed_ms(), 3),
            "cache": log.cache,
        }
        if log.problem:
            line["problem"] = log.problem.value
        self.logger.info("request", extra={"extra_info": line})

    def emit_metrics(self, log: RequestLog) -> None:
        """Print the request's metrics in CloudWatch's embedded format; an object of its own, as requests overlap."""
        metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=self.service_name)
        metrics.add_metric("Requests", MetricUnit.Count, 1)
        if log.cache == "hit":
            metrics.add_metric("CacheHits", MetricUnit.Count, 1)
        if log.cache == "miss":
            metrics.add_metric("CacheMisses", MetricUnit.Count, 1)
        if log.cache_failures:
            metrics.add_metric("CacheErrors", MetricUnit.Count, log.cache_failures)
        if "processor" in log.timings:
            metrics.add_metric("ProcessorTime", MetricUnit.Milliseconds, log.timings["processor"])
        metrics.flush_metrics()


class FaultMiddleware:
    """The innermost layer: makes an unhandled exception a 500 that says nothing of the inside.

    Inside CORS, so that the page can read the answer; the framework's own net is outside of everything.
    """

    def __init__(self, app: ASGIApp, logger: Logger) -> None:
        """Wrap `app`."""
        self.app = app
        self.logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except ClientDisconnect:
            raise
        except Exception:
            self.logger.exception("unhandled fault")
            if started:
                raise
            log: RequestLog = scope["state"]["log"]
            detail = (
                "The request could not be answered. Please try again, and quote the request id if it happens again."
            )
            await problem_response(ProblemCode.INTERNAL_ERROR, detail, log)(scope, receive, send)


def request_id(scope: Scope) -> str:
    """Return the caller's own request id where it is well formed, else API Gateway's, else a new one."""
    callers = Headers(scope=scope).get("x-request-id", "")
    if CALLERS_REQUEST_ID.fullmatch(callers):
        return callers
    api_gateways = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    return api_gateways or str(uuid.uuid4())


def add_headers(headers: MutableHeaders, log: RequestLog) -> None:
    """Add what every answer says of its request."""
    headers["X-Request-ID"] = log.request_id
    if log.cache:
        headers["X-Cache"] = log.cache
    timings = {**log.timings, "total": log.elapsed_ms()}
    headers["Server-Timing"] = ", ".join(f"{name};dur={duration:.1f}" for name, duration in timings.items())
