"""The id, timings, log line and metrics of every request."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from gateway.measuring.outcome import Report

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from contract.problems import ProblemCode

METRICS_NAMESPACE = "ImageIntensity"
CALLERS_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# nginx's status for a client that has closed its connection before the answer. Only the log shows it.
CLIENT_CLOSED_REQUEST = 499


@dataclass(slots=True)
class RequestLog:
    """What is noted about one request, for the headers of its answer, its log line and its metrics."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    report: Report = field(default_factory=Report)
    problem: ProblemCode | None = None
    status: int = 0

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request began."""
        return (time.perf_counter() - self.started) * 1000

    def add(self, report: Report) -> None:
        """Note what the service reports."""
        self.report = Report(self.report.timings | report.timings, report.cache, report.cache_failures)


class RequestLogMiddleware:
    """The outermost layer: makes the request's id and log, adds the headers, and writes log line and metrics."""

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
            "cache": log.report.cache,
        }
        if log.problem:
            line["problem"] = log.problem.value
        self.logger.info("request", extra={"extra_info": line})

    def emit_metrics(self, log: RequestLog) -> None:
        """Print the request's metrics in CloudWatch's embedded format."""
        # Requests overlap, so each has a metrics object of its own.
        metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=self.service_name)
        metrics.add_metric("Requests", MetricUnit.Count, 1)
        report = log.report
        if report.cache == "hit":
            metrics.add_metric("CacheHits", MetricUnit.Count, 1)
        if report.cache == "miss":
            metrics.add_metric("CacheMisses", MetricUnit.Count, 1)
        if report.cache_failures:
            metrics.add_metric("CacheErrors", MetricUnit.Count, report.cache_failures)
        if "processor" in report.timings:
            metrics.add_metric("ProcessorTime", MetricUnit.Milliseconds, report.timings["processor"])
        metrics.flush_metrics()


def request_id(scope: Scope) -> str:
    """Return the caller's own request id if it is well formed, else API Gateway's, else a new one."""
    callers = Headers(scope=scope).get("x-request-id", "")
    if CALLERS_REQUEST_ID.fullmatch(callers):
        return callers
    api_gateways = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    return api_gateways or str(uuid.uuid4())


def add_headers(headers: MutableHeaders, log: RequestLog) -> None:
    """Add the headers that every answer has."""
    headers["X-Request-ID"] = log.request_id
    if log.report.cache:
        headers["X-Cache"] = log.report.cache
    timings = {**log.report.timings, "total": log.elapsed_ms()}
    headers["Server-Timing"] = ", ".join(f"{name};dur={duration:.1f}" for name, duration in timings.items())
