"""Who may use the local server: API keys, and how often a key and an address may ask."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.settings import SettingsError
from local_server import app as app_module
from local_server.app import make_app
from local_server.settings import LocalSettings
from tests.gateway.driver import assert_problem
from tests.local.measuring import InProcessProcessor
from tests.server import running_server

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Message

KEY, OTHER = "the key of a client that only it knows", "the key of another client"
DIGESTS = [sha256(key.encode()).hexdigest() for key in (KEY, OTHER)]
KEYS = {"API_KEYS": ",".join(DIGESTS)}
ORIGIN = {"Origin": "https://page.example"}
NO_IMAGE = {"image": ("photo.png", b"no image")}


@dataclass(frozen=True)
class Client:
    """A client of a local server, at an IP address."""

    app: FastAPI
    address: str

    def at(self, address: str) -> Client:
        """A client at another address of the same server."""
        return Client(self.app, address)

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self.address, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **request)

        return asyncio.run(call())


def client(address: str = "192.0.2.7", **settings: str) -> Client:
    return Client(app_of(settings), address)


def app_of(settings: dict[str, str]) -> FastAPI:
    """The service, which measures in this process and keeps nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "make_processors", lambda *_: (InProcessProcessor(), None))
        return make_app({"CACHE_TTL_SECONDS": "0", **settings}, Path(mkdtemp()))


def measure(service: Client, key: str | None = None, **headers: str) -> httpx.Response:
    """Send a file that is no image: whoever may enter gets a 400."""
    credentials = {"X-API-Key": key} if key is not None else {}
    return service("POST", "/intensity", files=NO_IMAGE, headers={**credentials, **headers})


def statuses(service: Client, times: int, key: str | None = None, **headers: str) -> list[int]:
    return [measure(service, key, **headers).status_code for _ in range(times)]


@pytest.mark.parametrize("path", ["/intensity", "/uploads", "/nothing"])
def test_without_a_valid_key_no_post_enters(path: str) -> None:
    service = client(**KEYS, RATE_LIMIT_PER_KEY="0")
    for key in (None, "", "wrong", KEY + " ", DIGESTS[0], KEY.upper()):
        headers = ORIGIN if key is None else {**ORIGIN, "X-API-Key": key}
        response = service("POST", path, json={"sha256": "known?"}, headers=headers)
        problem = assert_problem(response, 403, "forbidden")
        assert "X-API-Key" in problem["detail"]
        assert response.headers["WWW-Authenticate"] == "ApiKey"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "WWW-Authenticate" in response.headers["Access-Control-Expose-Headers"]
    assert [measure(service, key).status_code for key in (KEY, OTHER)] == [400, 400]


def test_a_stranger_is_refused_before_the_body_is_read() -> None:
    app = app_of(KEYS)
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/intensity",
        "raw_path": b"/intensity",
        "query_string": b"",
        "root_path": "",
        "client": ("192.0.2.7", 4711),
        # The local server reads the rest of a body before it sends an answer, but not of a client that asks first.
        "headers": [(b"host", b"localhost"), (b"expect", b"100-continue"), (b"content-length", b"4000000")],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 403


def test_the_log_says_which_key_it_was_and_has_no_key() -> None:
    with running_server(**KEYS) as server:
        for key in (KEY, OTHER, "a wrong key"):
            httpx.post(f"{server.address}/intensity", files=NO_IMAGE, headers={"X-API-Key": key}, timeout=60)
        server.interrupt()
        output = server.output("out") + server.output("err")
    callers = [json.loads(line)["extra_info"].get("caller") for line in output.splitlines() if '"request"' in line]
    assert callers == [DIGESTS[0][:8], DIGESTS[1][:8], None]
    assert not any(secret in output for secret in (KEY, OTHER, "a wrong key", *DIGESTS))


def test_a_key_may_ask_as_often_as_its_limit_says_and_then_hears_when_it_may_again() -> None:
    service = client(**KEYS, RATE_LIMIT_PER_KEY="3/minute")
    assert statuses(service, 3, KEY) == [400, 400, 400]
    response = measure(service, KEY, **ORIGIN)
    problem = assert_problem(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert f"in {response.headers['Retry-After']} s" in problem["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    # The limit is each key's own, from all addresses together.
    assert statuses(service, 1, OTHER) == [400]
    assert statuses(service.at("192.0.2.8"), 1, KEY) == [429]


def test_the_longer_of_two_limits_does_not_count_what_the_shorter_refuses() -> None:
    service = client(**KEYS, RATE_LIMIT_PER_KEY="5/hour;2/minute")
    assert statuses(service, 9, KEY) == [400] * 2 + [429] * 7
    assert int(measure(service, KEY).headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        # All addresses of one network count as one.
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
    ],
)
def test_an_address_may_ask_as_often_as_its_limit_says(address: str, same: str, other: str) -> None:
    service = client(address, RATE_LIMIT_PER_ADDRESS="2/minute")
    assert statuses(service, 2) == [400, 400]
    assert statuses(service.at(same), 1) == [429]
    assert statuses(service.at(other), 1) == [400]
    assert service("GET", "/health").status_code == 200


def test_a_stranger_without_a_key_uses_up_no_limit() -> None:
    service = client(**KEYS, RATE_LIMIT_PER_ADDRESS="2/minute")
    assert statuses(service, 5, "wrong") == [403] * 5
    assert statuses(service, 2, KEY) == [400, 400]


def test_a_client_cannot_forge_its_address() -> None:
    service = client(RATE_LIMIT_PER_ADDRESS="1/minute")
    assert statuses(service, 1) == [400]
    assert statuses(service, 1, **{"X-Forwarded-For": "198.51.100.1"}) == [429]


def test_behind_a_trusted_proxy_the_address_is_the_one_that_the_proxy_saw() -> None:
    service = client("10.0.0.2", RATE_LIMIT_PER_ADDRESS="1/minute", TRUSTED_PROXIES="10.0.0.0/8")
    assert statuses(service, 1, **{"X-Forwarded-For": "198.51.100.1"}) == [400]
    assert statuses(service, 1, **{"X-Forwarded-For": "198.51.100.2"}) == [400]
    # The proxy adds what it saw to what the client has sent.
    assert statuses(service, 1, **{"X-Forwarded-For": "198.51.100.3, 198.51.100.1"}) == [429]


def test_at_a_unix_socket_nobody_has_an_address_that_could_be_trusted() -> None:
    for wrong in ("127.0.0.1", "*,127.0.0.1"):
        with pytest.raises(SettingsError, match=r"^TRUSTED_PROXIES: .*only \* can be trusted$"):
            LocalSettings.load({"UNIX_SOCKET": "socket", "TRUSTED_PROXIES": wrong})
    assert LocalSettings.load({"UNIX_SOCKET": "socket", "TRUSTED_PROXIES": "*"}).trusted_proxies == ("*",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEYS", ","),
        ("API_KEYS", KEY),
        ("API_KEYS", DIGESTS[0][:-1]),
        ("API_KEYS", f"{DIGESTS[0]},short"),
        ("RATE_LIMIT_PER_KEY", "ten a second"),
        ("RATE_LIMIT_PER_KEY", "10"),
        ("RATE_LIMIT_PER_ADDRESS", "10/fortnight"),
    ],
)
def test_a_setting_that_cannot_be_meant_so_is_an_error_that_names_the_setting_and_not_the_value(
    name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: [^\n]*$") as error:
        LocalSettings.load({name: value})
    assert value in {",", "10"} or value not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, "0"),
        ({"APP_ENV": "testing", "SECRET_KEY": "own"}, "0"),
        ({"APP_ENV": "production", "SECRET_KEY": "own"}, "20/second"),
        ({"APP_ENV": "production", "SECRET_KEY": "own", "RATE_LIMIT_PER_ADDRESS": "0"}, "0"),
    ],
)
def test_an_address_has_a_limit_of_its_own_accord_in_production_only(settings: dict[str, str], limit: str) -> None:
    assert LocalSettings.load(settings).rate_limit_per_address == limit
