"""Traces: what the daemon of X-Ray gets for a request, received by a real socket."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from contract.problems import ProblemCode, ProblemError
from gateway.http.trace import XRay
from tests.gateway.driver import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gateway.driver import Gateway

ROOT, PARENT = "1-67891233-abcdef012345678912345678", "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def traced(make_gateway: Callable[..., Gateway], daemon: socket.socket) -> Iterator[Callable[[str], Gateway]]:
    """Makes a gateway whose invocation has this trace header."""
    traces = []

    def make(header: str) -> Gateway:
        trace = XRay(f"127.0.0.1:{daemon.getsockname()[1]}", lambda: header)
        traces.append(trace)
        return make_gateway(trace=trace)

    yield make
    for trace in traces:
        trace.socket.close()


def received(daemon: socket.socket) -> dict[str, Any]:
    head, document = daemon.recv(65_507).split(b"\n", 1)
    assert json.loads(head) == {"format": "json", "version": 1}
    subsegment: dict[str, Any] = json.loads(document)
    return subsegment


def test_a_sampled_request_is_a_subsegment_with_annotations(
    traced: Callable[[str], Gateway], daemon: socket.socket
) -> None:
    before = time.time()
    response = traced(SAMPLED).upload(x_request_id="mine")
    document = received(daemon)
    assert response.status_code == 200
    assert (document["trace_id"], document["parent_id"], document["type"]) == (ROOT, PARENT, "subsegment")
    assert document["annotations"] == {
        "request_id": "mine",
        "status": 200,
        "cache": "miss",
        "format": "PNG",
        "megapixels": 0.0,
    }
    assert before - 1 < document["start_time"] <= document["end_time"] < time.time() + 1


def test_its_parts_are_subsegments_within_it(traced: Callable[[str], Gateway], daemon: socket.socket) -> None:
    traced(SAMPLED).upload()
    document = received(daemon)
    names = [part["name"] for part in document["subsegments"]]
    # The cache is asked before, and told after.
    assert [name for name in names if name != "hash"] == ["upload", "cache", "processor", "cache"]
    for part in document["subsegments"]:
        assert document["start_time"] - 1e-3 <= part["start_time"] <= part["end_time"] <= document["end_time"] + 1e-3
        assert re.fullmatch("[0-9a-f]{16}", part["id"])
    assert len({part["id"] for part in [document, *document["subsegments"]]}) == len(names) + 1


def test_a_problem_is_annotated(traced: Callable[[str], Gateway], daemon: socket.socket) -> None:
    gateway = traced(SAMPLED)
    gateway.processor.answer = ProblemError(ProblemCode.PROCESSOR_BUSY, "busy")
    gateway.upload()
    annotations = received(daemon)["annotations"]
    assert (annotations["status"], annotations["problem"]) == (503, "processor_busy")
    assert "format" not in annotations


def test_no_content_and_no_file_name_is_traced(traced: Callable[[str], Gateway], daemon: socket.socket) -> None:
    traced(SAMPLED).upload(filename="secret.png")
    document = json.dumps(received(daemon))
    assert "secret" not in document
    assert IMAGE.decode() not in document


@pytest.mark.parametrize("header", ["", f"Root={ROOT};Parent={PARENT};Sampled=0", "Sampled=1", "nonsense;Sampled=1"])
def test_nothing_is_sent_for_a_request_that_is_not_sampled(
    traced: Callable[[str], Gateway], daemon: socket.socket, header: str
) -> None:
    assert traced(header).upload().status_code == 200
    daemon.setblocking(False)  # noqa: FBT003 - socket's signature
    with pytest.raises(BlockingIOError):
        daemon.recv(1)


def test_a_daemon_that_is_not_there_changes_nothing(make_gateway: Callable[..., Gateway]) -> None:
    trace = XRay("127.0.0.1:1", lambda: SAMPLED)
    gateway = make_gateway(trace=trace)
    assert [gateway.upload().status_code for _ in range(3)] == [200] * 3
    trace.socket.close()
