"""The id, timings, log line and metrics of every request."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.metrics.functions import is_metrics_disabled
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from contract.problems import ProblemCode
from gateway.http.security import RAW_HEADERS
from gateway.measuring.outcome import Report

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


METRICS_NAMESPACE = "ImageIntensity"
CACHE_METRICS = {"hit": "CacheHits", "miss": "CacheMisses"}
CALLERS_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# The most characters of a path, or of names in a request, that an answer or a log line has.
MAX_ECHO = 200
# nginx's status for a client that has closed its connection before the answer. Only the log shows it.
CLIENT_CLOSED_REQUEST = 499


class RequestLogMiddleware:
    """The outermost layer: makes the request's id and log, adds the headers, and writes log line and metrics.

    It has a HEAD answered as a GET is, without the body (RFC 9110, section 9.3.2). FastAPI's routes do not.
    """

    def __init__(self, app: ASGIApp, logger: Logger, service_name: str) -> None:
        self.app = app
        self.logger = logger
        # One object for all requests: it is filled and emptied at the end of each, without waiting in between.
        metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=service_name)
        self.metrics = None if is_metrics_disabled() else metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        report = Report(request_id(scope), api_gateways_caller(scope))
        scope.setdefault("state", {})["report"] = report
        self.logger.thread_safe_append_keys(request_id=report.request_id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                report.status = message["status"]
                message["headers"] = [*message["headers"], *headers_of(report)]
            elif scope["method"] == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        # A copy, since the server looks at its own.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self.app(inner, receive, send_with_headers)
        except ClientDisconnect:
            report.status = CLIENT_CLOSED_REQUEST
        finally:
            self.write_log_line(scope["method"], inner, report)
            self.emit_metrics(report)

    def write_log_line(self, method: str, scope: Scope, report: Report) -> None:
        line = {
            "method": method,
            "path": shortened(scope["path"]),
            "ip": (scope.get("client") or ("",))[0],
            "status_code": report.status,
            "duration_ms": round(report.elapsed_ms(), 3),
            "cache": report.cache,
        }
        if report.caller:
            line["caller"] = report.caller
        if report.problem:
            line["problem"] = report.problem.value
        self.logger.info("request", extra={"extra_info": line})

    def emit_metrics(self, report: Report) -> None:
        """Print the request's metrics in CloudWatch's embedded format."""
        metrics = self.metrics
        if not metrics:
            return
        metrics.add_metric("Requests", MetricUnit.Count, 1)
        if report.problem is ProblemCode.INTERNAL_ERROR:
            metrics.add_metric("InternalErrors", MetricUnit.Count, 1)
        if report.cache in CACHE_METRICS:
            metrics.add_metric(CACHE_METRICS[report.cache], MetricUnit.Count, 1)
        if report.cache_failures:
            metrics.add_metric("CacheErrors", MetricUnit.Count, report.cache_failures)
        if "processor" in report.timings:
            metrics.add_metric("ProcessorTime", MetricUnit.Milliseconds, report.timings["processor"])
        metrics.flush_metrics()


def shortened(text: str) -> str:
    """Return what a client has chosen, cut if it is longer than answers and logs should be."""
    return text if len(text) <= MAX_ECHO else f"{text[:MAX_ECHO]}…"


def request_id(scope: Scope) -> str:
    """Return the caller's own request id if it is well formed, else API Gateway's, else a new one."""
    callers = Headers(scope=scope).get("x-request-id", "")
    if CALLERS_REQUEST_ID.fullmatch(callers):
        return callers
    api_gateways = scope.get("aws.event", {}).get("requestContext", {}).get("requestId")
    return api_gateways or str(uuid.uuid4())


def api_gateways_caller(scope: Scope) -> str | None:
    """Return whom API Gateway let in: the id of an API key, the subject of a token, or the ARN of an IAM identity."""
    context = scope.get("aws.event", {}).get("requestContext", {})
    identity, authorizer = context.get("identity") or {}, context.get("authorizer") or {}
    caller: str | None = identity.get("apiKeyId") or authorizer.get("principalId") or identity.get("userArn")
    return caller


def headers_of(report: Report) -> list[tuple[bytes, bytes]]:
    timings = {**report.timings, "total": report.elapsed_ms()}
    timing = ", ".join([f"{name};dur={duration:.1f}" for name, duration in timings.items()])
    headers = [*RAW_HEADERS, (b"x-request-id", report.request_id.encode()), (b"server-timing", timing.encode())]
    if report.cache:
        headers.append((b"x-cache", report.cache.encode()))
    return headers
