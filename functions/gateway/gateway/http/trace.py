"""A subsegment of X-Ray for a request that is sampled: how long its parts took, and annotations to search by.

AWS's own SDK for this takes longer to import than the rest of the gateway, and is in maintenance since 2026. What is
sent is one datagram of documented JSON to the daemon that Lambda runs.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.http.request_log import RequestLog

HEADER = b'{"format": "json", "version": 1}\n'


class XRay:
    """Sends subsegments to the daemon. A daemon that is not there changes nothing."""

    def __init__(self, daemon: str, current: Callable[[], str]) -> None:
        """Send to `daemon` (host:port).

        current: returns the trace header of the invocation under way, such as Root=1-...;Parent=...;Sampled=1.
        """
        host, _, port = daemon.rpartition(":")
        self.address = (host, int(port))
        self.current = current
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0)

    def __call__(self, log: RequestLog) -> None:
        """Send the subsegment of a request that has just ended, if it is sampled."""
        header = self.current()
        if "Sampled=1" not in header:
            return
        trace = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
        if "Root" in trace and "Parent" in trace:
            with suppress(OSError):
                self.socket.sendto(HEADER + json.dumps(subsegment(log, trace)).encode(), self.address)


def subsegment(log: RequestLog, trace: dict[str, str]) -> dict[str, Any]:
    """Return the document of a request. It says nothing of the file but format and size of the image."""
    epoch = time.time() - time.perf_counter()
    annotations: dict[str, str | float] = {"request_id": log.request_id, "status": log.status}
    if log.report.cache:
        annotations["cache"] = log.report.cache
    if log.problem:
        annotations["problem"] = log.problem.value
    if log.measurement:
        annotations["format"] = log.measurement.image_format
        annotations["megapixels"] = round(log.measurement.pixel_count / 1e6, 3)
    return {
        "type": "subsegment",
        "trace_id": trace["Root"],
        "parent_id": trace["Parent"],
        **span("request", epoch + log.started, epoch + time.perf_counter()),
        "annotations": annotations,
        "subsegments": [span(name, epoch + begun, epoch + ended) for name, begun, ended in log.report.spans],
    }


def span(name: str, start: float, end: float) -> dict[str, Any]:
    """Return the members that every subsegment has. start, end: seconds since 1970."""
    return {"id": secrets.token_hex(8), "name": name, "start_time": start, "end_time": end}
