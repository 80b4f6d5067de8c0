"""Tokens and signatures, end to end on the local AWS: a second stack beside the one of the other tests.

MiniStack asks the template's authorizer, and refuses what has no signature. It compares no signatures, and its refusals
have not the template's shape: infra/checklist.md has what is left for an account.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.authorizer.issuer import AUDIENCE, DISCOVERY, LocalIssuer, rsa_key, running_issuer
from tests.e2e.engines import SMALL, address_of, deploy, wait_until_ready
from tests.e2e.images import fresh
from tests.e2e.test_http import ORIGIN, TIMEOUT, assert_measured
from tests.support import BRIDGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Engine

OTHER = "identities"


class Guarded(NamedTuple):
    """A service that wants to know who asks, and the issuer of tokens that it believes."""

    url: str
    issuer: LocalIssuer

    def measure(self, content: bytes, **headers: str) -> httpx.Response:
        files = {"image": ("x.png", content)}
        return httpx.post(f"{self.url}/intensity", files=files, headers={**ORIGIN, **headers}, timeout=TIMEOUT)

    def announce(self, **headers: str) -> httpx.Response:
        described = {"filename": "x.png", "size": 9, "content_type": "image/png", "sha256": "0" * 64}
        return httpx.post(f"{self.url}/uploads", json=described, headers={**ORIGIN, **headers}, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that functions in containers can reach."""
    with running_issuer(BRIDGE) as running:
        yield running


@pytest.fixture(scope="module")
def guard(engine: Engine, issuer: LocalIssuer) -> Callable[[str], Guarded]:
    """Make the stack with this value of Access, or change it."""
    endpoint = urlsplit(engine.url)._replace(path="").geturl()
    assert engine.folder
    folder = engine.folder
    current: dict[str, Guarded] = {}

    def deployed(access: str) -> Guarded:
        if access not in current:
            parameters = (f"Access={access}", f"JwtIssuer={issuer.address}", f"JwtAudience={AUDIENCE}")
            deploy(endpoint, folder, *SMALL, *parameters, stack=OTHER)
            url = address_of(endpoint, OTHER)
            wait_until_ready(url)
            current.clear()
            current[access] = Guarded(url, issuer)
        return current[access]

    return deployed


@pytest.fixture
def with_tokens(guard: Callable[[str], Guarded]) -> Guarded:
    return guard("jwt")


@pytest.fixture
def with_signatures(guard: Callable[[str], Guarded]) -> Guarded:
    return guard("iam")


pytestmark = pytest.mark.parametrize("engine", ["deployed"], indirect=True)
WRONG: dict[str, Callable[[LocalIssuer], str | None]] = {
    "none": lambda _: None,
    "no token": lambda _: "Bearer no-token",
    "another scheme": lambda _: "Basic dXNlcjpwYXNz",
    "expired": lambda issuer: f"Bearer {issuer.token(exp=time.time() - 60)}",
    "for another service": lambda issuer: f"Bearer {issuer.token(aud='another')}",
    "of another issuer": lambda issuer: f"Bearer {issuer.token(iss='https://another.example')}",
    "signed by another": lambda issuer: f"Bearer {issuer.token(rsa_key())}",
}


@pytest.mark.parametrize("token", WRONG)
def test_without_a_valid_token_nothing_is_measured(with_tokens: Guarded, token: str) -> None:
    value = WRONG[token](with_tokens.issuer)
    headers = {"Authorization": value} if value else {}
    assert with_tokens.measure(fresh().content, **headers).status_code == 401
    assert with_tokens.announce(**headers).status_code == 401


def test_with_a_valid_token_an_image_is_measured_and_there_is_a_form(with_tokens: Guarded) -> None:
    headers = {"Authorization": f"Bearer {with_tokens.issuer.token()}"}
    sample = fresh()
    assert_measured(with_tokens.measure(sample.content, **headers), sample)
    assert with_tokens.announce(**headers).status_code == 201
    assert with_tokens.issuer.asked == [DISCOVERY, "/keys"]


OPEN = ["/health", "/health/ready", "/docs", "/openapi.json"]


@pytest.mark.parametrize("path", OPEN)
def test_without_a_token_the_health_and_the_documents_stay_open(with_tokens: Guarded, path: str) -> None:
    assert httpx.get(f"{with_tokens.url}{path}", timeout=TIMEOUT).status_code == 200


def signed(guarded: Guarded, content: bytes) -> httpx.Response:
    request = httpx.Request("POST", f"{guarded.url}/intensity", files={"image": ("x.png", content)})
    headers = {"Content-Type": request.headers["Content-Type"]}
    to_sign = AWSRequest("POST", str(request.url), headers, request.read())
    SigV4Auth(Credentials("test", "test"), "execute-api", "eu-central-1").add_auth(to_sign)
    return httpx.post(request.url, content=request.content, headers=dict(to_sign.headers), timeout=TIMEOUT)


def test_without_a_signature_nothing_is_measured(with_signatures: Guarded) -> None:
    assert with_signatures.measure(fresh().content).status_code == 403
    assert with_signatures.announce().status_code == 403


def test_with_a_signature_an_image_is_measured(with_signatures: Guarded) -> None:
    sample = fresh()
    assert_measured(signed(with_signatures, sample.content), sample)


@pytest.mark.parametrize("path", OPEN)
def test_without_a_signature_the_health_and_the_documents_stay_open(with_signatures: Guarded, path: str) -> None:
    assert httpx.get(f"{with_signatures.url}{path}", timeout=TIMEOUT).status_code == 200
