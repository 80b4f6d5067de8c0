"""What comes through CloudFront, and what walks around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.settings import Settings, SettingsError
from tests.gateway.driver import assert_problem

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway

SECRET = {"x-origin-secret": "secret"}
# As API Gateway names whoever has connected to it: CloudFront, or somebody who walks around it.
NEIGHBOR = "192.0.2.7"


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    return make_gateway(variables={"ORIGIN_SECRET": "secret", "DIRECT_ACCESS": "false"})


@pytest.fixture
def open_gateway(make_gateway: MakeGateway) -> Gateway:
    return make_gateway(variables={"ORIGIN_SECRET": "secret"})


def logged_address(gateway: Gateway, headers: dict[str, str], method: str = "GET") -> str:
    assert gateway.converse([], headers, method=method, path="/health", client=(NEIGHBOR, 0)).status_code == 200
    line: dict[str, Any] = gateway.log("request")[-1]["extra_info"]
    assert line["method"] == method
    return str(line["ip"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("chain", "viewer"),
    [
        (f"203.0.113.9, {NEIGHBOR}", "203.0.113.9"),
        ("203.0.113.9", "203.0.113.9"),
        (f"2001:db8::1, {NEIGHBOR}", "2001:db8::1"),
        # What the viewer has written stands before its address.
        (f"10.0.0.1, 198.51.100.1, 203.0.113.9, {NEIGHBOR}", "203.0.113.9"),
        (f"nonsense,,203.0.113.9,{NEIGHBOR}", "203.0.113.9"),
        ("", NEIGHBOR),
    ],
)
def test_the_log_has_the_viewers_address_and_not_cloudfronts(
    gateway: Gateway, chain: str, viewer: str, method: str
) -> None:
    assert logged_address(gateway, {**SECRET, "x-forwarded-for": chain}, method) == viewer


@pytest.mark.parametrize("secret", [{}, {"x-origin-secret": "guess"}, {"x-origin-secret": ""}])
def test_nobody_who_walks_around_cloudfront_can_forge_an_address(open_gateway: Gateway, secret: dict[str, str]) -> None:
    assert logged_address(open_gateway, {**secret, "x-forwarded-for": f"203.0.113.9, {NEIGHBOR}"}) == NEIGHBOR


@pytest.mark.parametrize("path", ["/intensity", "/uploads", "/docs", "/openapi.json", "/nothing"])
def test_who_walks_around_cloudfront_is_refused_with_a_problem(gateway: Gateway, path: str) -> None:
    response = gateway.request("POST", path, headers={"X-Origin-Secret": "guess", "Origin": "https://example.com"})
    assert_problem(response, 403, "forbidden")
    assert response.headers["access-control-allow-origin"] == "*"
    assert gateway.log("request")[-1]["extra_info"]["problem"] == "forbidden"
    assert gateway.processor.images == []


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_the_health_is_open_all_the_same(gateway: Gateway, path: str) -> None:
    assert gateway.get(path).status_code in {200, 503}


def test_a_secret_that_is_no_text_is_a_wrong_one(gateway: Gateway) -> None:
    assert gateway.converse([], {"x-origin-secret": b"\xff\xfe"}, path="/docs", method="GET").status_code == 403


def test_refusing_everybody_is_a_setting_that_cannot_work() -> None:
    with pytest.raises(SettingsError, match=r"^DIRECT_ACCESS: .*ORIGIN_SECRET"):
        Settings.load({"DIRECT_ACCESS": "false"})


def test_while_the_secret_changes_both_are_believed_and_nothing_else_unless_direct_access_is_open(
    make_gateway: MakeGateway, open_gateway: Gateway
) -> None:
    changing = make_gateway(variables={"ORIGIN_SECRET": "new,old,", "DIRECT_ACCESS": "false"})
    for secret in ("new", "old"):
        assert changing.upload(x_origin_secret=secret).status_code == 200
    for other in ("", "new,old,", "another"):
        assert changing.upload(x_origin_secret=other).status_code == 403
        assert open_gateway.upload(x_origin_secret=other).status_code == 200
