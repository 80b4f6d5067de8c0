"""nginx in front of Compose, the rights of the parts, and what each of them can reach."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.http.security import HEADERS, page_policy
from tests.e2e.compose import compose_up
from tests.e2e.images import fresh
from tests.e2e.test_compose_faults import wait_until_ready
from tests.e2e.test_http import assert_measured, assert_problem
from tests.e2e.uploads import form_for, redeem, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.compose import Compose
    from tests.e2e.images import Sample

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def nginx(docker: None) -> Iterator[Compose]:  # noqa: ARG001 - needed first
    """Nginx alone, which lets few requests through. The gateway behind it does not run."""
    limits = {"REQUESTS_PER_SECOND": "20", "REQUESTS_AT_ONCE": "5"}
    with compose_up("--no-deps", "page", **limits) as running:
        yield running


@pytest.fixture
def front(nginx: Compose) -> Compose:
    """That nginx, when its limit has forgotten what the last test and the health checks have asked."""
    time.sleep(1)
    return nginx


def raw(compose: Compose, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and return the answer that came before nginx closed the connection."""
    with socket.create_connection(("127.0.0.1", compose.port), timeout=WAIT_SECONDS) as client:
        client.sendall(request)
        received = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def test_a_file_of_the_page_is_compressed_known_by_its_tag_and_has_the_headers_for_browsers(front: Compose) -> None:
    response = httpx.get(front.url)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Security-Policy"] == page_policy(f"http://127.0.0.1:{front.storage_port}")
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    again = httpx.get(front.url, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.head(f"{front.url}/app.js").status_code == 200


def test_too_many_requests_are_told_when_to_try_again(front: Compose) -> None:
    with httpx.Client() as client:
        answers = [client.get(f"{front.url}/app.js") for _ in range(60)]
    outcomes = Counter(answer.status_code for answer in answers)
    assert set(outcomes) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, 429, "too_many_requests")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_without_the_gateway_the_answer_is_a_problem_and_when_to_try_again(front: Compose) -> None:
    response = httpx.post(f"{front.url}/intensity", files={"image": ("a.png", b"x")}, timeout=WAIT_SECONDS)
    assert_problem(response, 503, "processor_busy")
    assert response.headers["Retry-After"] == "1"


def test_a_file_of_the_page_takes_no_other_method(front: Compose) -> None:
    assert_problem(httpx.post(f"{front.url}/app.js"), 405, "method_not_allowed")


def test_a_body_far_over_every_limit_is_refused_before_it_is_sent(front: Compose) -> None:
    head = b"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\nConnection: close\r\n\r\n"
    status, headers, body = raw(front, head)
    assert (status, json.loads(body)["code"]) == (413, "file_too_large")
    assert headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
    ids=["address", "header", "host", "two lengths", "TLS"],
)
def test_what_is_not_a_request_of_http_is_malformed(front: Compose, request_: bytes) -> None:
    status, headers, body = raw(front, request_)
    problem = json.loads(body)
    assert (status, problem["code"]) == (400, "malformed_request")
    assert problem["request_id"] == headers["X-Request-ID"]


def test_a_body_that_stops_is_a_timeout(compose: Compose) -> None:
    head = (
        b"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n\r\nstart"
    )
    status, _, body = raw(compose, head)
    assert (status, json.loads(body)["code"]) == (408, "request_timeout")


def test_a_request_by_another_name_is_refused(compose: Compose) -> None:
    response = httpx.get(f"{compose.url}/health", headers={"Host": "evil.example"})
    assert_problem(response, 403, "forbidden")


def test_a_client_of_http_1_0_needs_no_host(compose: Compose) -> None:
    status, _, body = raw(compose, b"GET /health HTTP/1.0\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (200, "ok")


def test_many_clients_at_once_are_all_served(compose: Compose) -> None:
    """The limits are for those who take more than their share."""
    samples = [fresh() for _ in range(60)]

    def measure(sample: Sample) -> httpx.Response:
        files = {"image": ("a.png", sample.content)}
        return httpx.post(f"{compose.url}/intensity", files=files, timeout=WAIT_SECONDS)

    with ThreadPoolExecutor(30) as threads:
        for response, sample in zip(threads.map(measure, samples), samples, strict=True):
            assert_measured(response, sample)


def requests_in_the_log(compose: Compose) -> list[dict[str, Any]]:
    lines = compose("logs", "--no-color", "--no-log-prefix", "gateway").splitlines()
    # Docker writes a control sequence before each line.
    return [json.loads(line[line.index("{") :]) for line in lines if '"request"' in line]


def test_the_log_has_a_line_for_each_request_but_not_for_health_checks_that_pass(compose: Compose) -> None:
    # There were some: by them, Compose knows that the gateway has started.
    mine = f"test-{uuid.uuid4()}"
    httpx.get(f"{compose.url}/nothing", headers={"X-Request-ID": mine})
    end = time.monotonic() + WAIT_SECONDS
    while not (written := [line for line in requests_in_the_log(compose) if line["request_id"] == mine]):
        assert time.monotonic() < end
        time.sleep(0.2)
    fields = {"timestamp", "level", "message", "name", "service", "request_id", "extra_info"}
    assert [set(line) for line in written] == [fields]
    requests = [line["extra_info"] for line in requests_in_the_log(compose)]
    assert [each for each in requests if each["path"].startswith("/health") and each["status_code"] == 200] == []


def test_the_secret_is_made_once_and_kept(compose: Compose) -> None:
    secret = compose("exec", "gateway", "cat", "/secret/key").strip()
    assert len(secret) >= 64
    sample = fresh()
    form = form_for(compose.url, sample.content)
    send(form, sample.content).raise_for_status()
    compose("restart", "--timeout", "3", "gateway")
    compose("up", "--wait")
    assert compose("exec", "gateway", "cat", "/secret/key").strip() == secret
    assert_measured(redeem(compose.url, form["ticket"]), sample)


# Try to connect to all addresses at once, and print which of them answer.
CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def answers(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
with ThreadPoolExecutor() as threads:
    print(*(address for address, found in zip(sys.argv[1:], threads.map(answers, sys.argv[1:])) if found))
"""
DECODERS = ["processor-1", "processor-2", "processor-jobs"]


def inspected(compose: Compose, part: str) -> dict[str, Any]:
    name = json.loads(compose("ps", "--format", "json", part))["Name"]
    [container] = json.loads(subprocess.run(["docker", "inspect", name], capture_output=True, check=True).stdout)
    return dict(container)


def test_a_decoder_reaches_the_storage_and_neither_the_cache_nor_the_internet(compose: Compose) -> None:
    [network] = inspected(compose, "redis")["NetworkSettings"]["Networks"].values()
    cache, internet = f"{network['IPAddress']}:6379", "1.1.1.1:53"
    # The address is right, and the network works.
    assert compose("exec", "gateway", "python3", "-c", CONNECT, "redis:6379", cache).split() == ["redis:6379", cache]
    for part in DECODERS:
        addresses = ["storage:4566", cache, internet]
        assert compose("exec", part, "python3", "-c", CONNECT, *addresses).split() == ["storage:4566"]
        # A machine may have no internet.
        [name] = inspected(compose, part)["NetworkSettings"]["Networks"]
        network_is = ["docker", "network", "inspect", "--format", "{{.Internal}}", name]
        assert subprocess.run(network_is, capture_output=True, check=True, text=True).stdout == "true\n"


def test_the_storage_does_not_reach_the_cache(compose: Compose) -> None:
    [network] = inspected(compose, "redis")["NetworkSettings"]["Networks"].values()
    addresses = ["redis:6379", f"{network['IPAddress']}:6379", "storage:4566"]
    assert compose("exec", "storage", "python3", "-c", CONNECT, *addresses).split() == ["storage:4566"]


def test_the_cache_has_a_password(compose: Compose) -> None:
    """Another one of one's own, and that this one is kept, is in `guarded_compose`."""
    assert len(compose("exec", "redis", "cat", "password")) > 32
    assert "NOAUTH" in compose("exec", "redis", "valkey-cli", "get", "x")
    wait_until_ready(compose)


def test_the_password_shows_in_no_list_of_processes(compose: Compose) -> None:
    kept = compose("exec", "redis", "cat", "password").strip()
    for part in ("redis", "gateway"):
        assert kept not in compose("top", part)


def test_no_part_is_root_and_gateway_decoders_cache_and_storage_are_different_users(compose: Compose) -> None:
    services = compose("config", "--services").split()
    users = {part: compose("exec", part, "id", "-u").strip() for part in services}
    assert "0" not in users.values(), users
    assert len({users[part] for part in ("gateway", "processor-1", "redis", "storage")}) == 4, users


def test_every_part_has_no_rights_a_read_only_file_system_and_a_bounded_log(compose: Compose) -> None:
    for name in compose("config", "--services").split():
        host = inspected(compose, name)["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        # Of this driver, Docker keeps 100 MB. It keeps everything of its default one.
        assert host["LogConfig"]["Type"] == "local", name
        for published in host["PortBindings"].values():
            assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}, name
