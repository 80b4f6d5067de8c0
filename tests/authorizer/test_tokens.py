"""Which tokens are valid, with real keys and an issuer that answers over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authorizer import tokens as tokens_module
from authorizer.tokens import Issuer, IssuerError, Tokens, UnauthorizedError
from tests.authorizer.issuer import AUDIENCE, DISCOVERY, LocalIssuer, ec_key, rsa_key, running_issuer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def tokens(issuer: LocalIssuer) -> Tokens:
    return Tokens(Issuer(issuer.address), AUDIENCE, ["RS256", "ES256"])


def test_a_token_of_the_issuer_for_this_service_is_valid(issuer: LocalIssuer, tokens: Tokens) -> None:
    assert tokens.verify(issuer.token())["sub"] == "client-7"


def test_a_token_for_several_services_is_valid_for_each(issuer: LocalIssuer, tokens: Tokens) -> None:
    assert tokens.verify(issuer.token(aud=["another", AUDIENCE]))


def test_a_key_on_an_elliptic_curve_signs_as_well(issuer: LocalIssuer, tokens: Tokens) -> None:
    key = ec_key()
    issuer.publish(key, "curve", "ES256")
    assert tokens.verify(issuer.token(key, algorithm="ES256", kid="curve"))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "another service"},
        {"aud": None},
        {"iss": "https://another.example"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"nbf": 4102444800},
        {"exp": "soon"},
    ],
    ids=str,
)
def test_a_token_with_other_claims_is_refused(issuer: LocalIssuer, tokens: Tokens, claims: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError):
        tokens.verify(issuer.token(**claims))


def test_clocks_may_differ_by_half_a_minute(issuer: LocalIssuer, tokens: Tokens) -> None:
    assert tokens.verify(issuer.token(exp=time.time() - 25))
    with pytest.raises(UnauthorizedError, match="Expired"):
        tokens.verify(issuer.token(exp=time.time() - 35))


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unsigned(issuer: LocalIssuer, algorithm: str) -> str:
    """A token that says it has no signature, in a spelling that a careless check might let pass."""
    _, claims, _ = issuer.token().split(".")
    return f"{base64url(json.dumps({'alg': algorithm, 'kid': 'first'}).encode())}.{claims}."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "RS512", "PS256"])
def test_a_token_that_names_another_algorithm_is_refused_before_the_issuer_is_asked(
    issuer: LocalIssuer, tokens: Tokens, algorithm: str
) -> None:
    with pytest.raises(UnauthorizedError, match="algorithm"):
        tokens.verify(unsigned(issuer, algorithm))
    assert issuer.asked == []


def test_the_public_key_of_the_issuer_is_no_shared_secret(issuer: LocalIssuer) -> None:
    """Even if somebody allowed it: RFC 8725, section 2.1."""
    careless = Tokens(Issuer(issuer.address), AUDIENCE, ["RS256", "HS256"])
    secret = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    # PyJWT itself refuses to sign with it, so this token is put together by hand.
    signed = unsigned(issuer, "HS256").removesuffix(".")
    forged = f"{signed}.{base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
    with pytest.raises(UnauthorizedError):
        careless.verify(forged)


def test_a_key_signs_only_with_its_own_algorithm(issuer: LocalIssuer) -> None:
    both = Tokens(Issuer(issuer.address), AUDIENCE, ["RS256", "PS256"])
    assert both.verify(issuer.token())
    with pytest.raises(UnauthorizedError, match="algorithm"):
        both.verify(issuer.token(algorithm="PS256"))


def test_a_token_that_somebody_else_has_signed_is_refused(issuer: LocalIssuer, tokens: Tokens) -> None:
    with pytest.raises(UnauthorizedError, match="Signature"):
        tokens.verify(issuer.token(rsa_key()))


def test_a_token_whose_claims_were_changed_is_refused(issuer: LocalIssuer, tokens: Tokens) -> None:
    header, _, signature = issuer.token().split(".")
    _, claims, _ = issuer.token(sub="the operator").split(".")
    with pytest.raises(UnauthorizedError, match="Signature"):
        tokens.verify(f"{header}.{claims}.{signature}")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_short_rsa_key_signs_nothing(issuer: LocalIssuer, tokens: Tokens) -> None:
    weak = rsa_key(1024)
    issuer.publish(weak, "weak", "RS256")
    with pytest.raises(UnauthorizedError, match="Key"):
        tokens.verify(issuer.token(weak, kid="weak"))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "e30.e30.e30", "no token", "é.é.é", "bnVsbA.e30.", "W10.e30."]
)
def test_what_is_no_token_is_refused(issuer: LocalIssuer, tokens: Tokens, token: str) -> None:
    with pytest.raises(UnauthorizedError):
        tokens.verify(token)
    assert issuer.asked == []


def test_a_token_that_names_no_key_is_refused(issuer: LocalIssuer, tokens: Tokens) -> None:
    with pytest.raises(UnauthorizedError, match="names no key"):
        tokens.verify(issuer.token(kid=None))


def test_the_issuer_is_asked_once_for_many_tokens(issuer: LocalIssuer, tokens: Tokens) -> None:
    for _ in range(5):
        tokens.verify(issuer.token())
    assert issuer.asked == [DISCOVERY, "/keys"]


def test_a_new_key_is_found_and_an_unknown_one_asks_the_issuer_only_now_and_then(
    issuer: LocalIssuer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.verify(issuer.token())
    key = rsa_key()
    issuer.publish(key, "second", "RS256")
    with pytest.raises(UnauthorizedError, match="Unable to find"):
        tokens.verify(issuer.token(key, kid="second"))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + tokens_module.COOLDOWN_SECONDS)
    assert tokens.verify(issuer.token(key, kid="second"))
    for name in ("third", "fourth", "fifth"):
        with pytest.raises(UnauthorizedError):
            tokens.verify(issuer.token(key, kid=name))
    assert issuer.asked == [DISCOVERY, "/keys", "/keys"]


def test_a_key_that_the_issuer_has_withdrawn_is_refused_after_ten_minutes(
    issuer: LocalIssuer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(exp=time.time() + 3600)
    tokens.verify(token)
    issuer.answers["/keys"] = {"keys": []}
    issuer.publish(rsa_key(), "second", "RS256")
    assert tokens.verify(token)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + tokens_module.KEYS_SECONDS + 1)
    with pytest.raises(UnauthorizedError, match="Unable to find"):
        tokens.verify(token)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, None),
        (DISCOVERY, b"<html>"),
        (DISCOVERY, []),
        (DISCOVERY, {"issuer": "https://another.example", "jwks_uri": "https://another.example/keys"}),
        (DISCOVERY, "no address"),
        (DISCOVERY, "a file"),
        ("/keys", None),
        ("/keys", b"<html>"),
        ("/keys", []),
        ("/keys", {}),
        ("/keys", {"keys": []}),
    ],
)
def test_an_issuer_that_does_not_answer_as_one_is_no_judgement_of_the_token(
    issuer: LocalIssuer,
    tokens: Tokens,
    path: str,
    answer: Any,  # noqa: ANN401 - any JSON
) -> None:
    token = issuer.token()
    good = issuer.answers[path]
    replaced = {"no address": {"issuer": issuer.address}, "a file": {"issuer": issuer.address, "jwks_uri": "file:///x"}}
    issuer.answers[path] = replaced[answer] if isinstance(answer, str) else answer
    with pytest.raises(IssuerError):
        tokens.verify(token)
    # And when it answers again, all is well.
    issuer.answers[path] = good
    assert tokens.verify(token)


def test_an_issuer_that_is_not_there_is_an_error_of_its_own() -> None:
    with running_issuer() as gone:
        token = gone.token()
    with pytest.raises(IssuerError, match="refused"):
        Tokens(Issuer(gone.address), AUDIENCE, ["RS256"]).verify(token)


def test_known_keys_are_good_while_the_issuer_is_down(issuer: LocalIssuer, tokens: Tokens) -> None:
    tokens.verify(issuer.token())
    issuer.answers.clear()
    assert tokens.verify(issuer.token())


def test_every_algorithm_that_may_be_chosen_is_one_of_pyjwts_with_a_public_key() -> None:
    known = jwt.algorithms.get_default_algorithms()
    assert known.keys() >= tokens_module.PUBLIC_KEY_ALGORITHMS
    assert not any(name.startswith(("HS", "none")) for name in tokens_module.PUBLIC_KEY_ALGORITHMS)
