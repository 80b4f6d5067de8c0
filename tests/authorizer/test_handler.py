"""What the authorizer answers to API Gateway."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from authorizer.tokens import IssuerError
from tests.authorizer.issuer import AUDIENCE, LocalIssuer, running_issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

METHOD = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/v1/POST/intensity"


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Import the handler anew, as a cold start with these variables does."""

    def cold_start(**variables: str) -> ModuleType:
        usual = {"JWT_ISSUER": "https://login.example", "JWT_AUDIENCE": AUDIENCE, "JWT_ALGORITHMS": "RS256,ES256"}
        for name, value in {**usual, **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "authorizer.handler", raising=False)
        return importlib.import_module("authorizer.handler")

    yield cold_start
    sys.modules.pop("authorizer.handler", None)


def event(token: str) -> dict[str, Any]:
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": METHOD}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_holder_of_a_valid_token_may_send_every_post_of_the_stage(
    issuer: LocalIssuer, load: Callable[..., ModuleType], scheme: str
) -> None:
    answer = load(JWT_ISSUER=issuer.address).lambda_handler(event(f"{scheme} {issuer.token()}"), None)
    [statement] = answer["policyDocument"]["Statement"]
    assert answer["principalId"] == "client-7"
    assert statement == {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/v1/POST/*",
    }


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic dXNlcjpwYXNz"])
def test_without_a_valid_token_it_raises_what_api_gateway_answers_with_401(
    load: Callable[..., ModuleType], token: str
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        load().lambda_handler(event(token), None)


def test_the_log_says_why_and_has_no_token(
    issuer: LocalIssuer, load: Callable[..., ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token(aud="another")
    handler = load(JWT_ISSUER=issuer.address)
    with caplog.at_level(logging.INFO), pytest.raises(Exception, match="Unauthorized"):
        handler.lambda_handler(event(f"Bearer {token}"), None)
    [record] = caplog.records
    assert record.getMessage().startswith("refused: InvalidAudienceError")
    assert token not in caplog.text
    assert not any(part in caplog.text for part in token.split("."))


def test_an_issuer_that_is_down_is_another_error_which_the_log_explains(
    issuer: LocalIssuer, load: Callable[..., ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    handler = load(JWT_ISSUER=issuer.address)
    token = issuer.token()
    issuer.answers.clear()
    with pytest.raises(IssuerError):
        handler.lambda_handler(event(f"Bearer {token}"), None)
    assert "the issuer's keys cannot be had" in caplog.text
    assert "503" in caplog.text


@pytest.mark.parametrize(
    "variables",
    [
        {"JWT_ISSUER": ""},
        {"JWT_ISSUER": "login.example"},
        {"JWT_AUDIENCE": ""},
        {"JWT_ALGORITHMS": ""},
        {"JWT_ALGORITHMS": "none"},
        {"JWT_ALGORITHMS": "RS256,HS256"},
    ],
    ids=str,
)
def test_it_does_not_start_with_settings_that_would_let_anyone_in(
    load: Callable[..., ModuleType], variables: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="JWT_ISSUER is an address"):
        load(**variables)
