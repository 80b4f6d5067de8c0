"""Whether a token is valid: a JWT (RFC 7519) that an OIDC issuer has signed for this service."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import urlopen

import jwt

if TYPE_CHECKING:
    from collections.abc import Sequence

# Only algorithms with a public key. With a shared secret, whoever can check a token could also make one; and the public
# key of an issuer, which everyone knows, could be passed off as such a secret (RFC 8725, section 3.1).
PUBLIC_KEY_ALGORITHMS = frozenset(
    {*(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA"}
)
# How far the clocks of the issuer and of Lambda may differ.
LEEWAY_SECONDS = 30
# The keys of the issuer are asked for again after this long, and when a token names a key that is not among them; but
# not more often than `COOLDOWN_SECONDS`, so that made-up names do not become a flood of requests to the issuer.
KEYS_SECONDS = 600
COOLDOWN_SECONDS = 30
# API Gateway's client is waiting, and there may be two requests.
ISSUER_TIMEOUT_SECONDS = 3
MAX_DISCOVERY_BYTES = 1024 * 1024


class UnauthorizedError(Exception):
    """The token is not valid. The message says why; it is for the log only."""


class IssuerError(Exception):
    """The issuer does not answer, or not as an issuer does. Nothing is known about the token."""


class Issuer:
    """An OIDC issuer and its public keys, which are asked for when they are needed."""

    def __init__(self, address: str) -> None:
        """Know an issuer by its address, which is also the claim `iss` of its tokens."""
        self.address = address

    def key(self, name: str) -> jwt.PyJWK:
        """Return the key with this name (`kid`). Raises UnauthorizedError: there is none. Raises IssuerError."""
        try:
            return self.keys.get_signing_key(name)
        except (jwt.PyJWTError, ValueError) as error:
            # PyJWT has one class for this and for most of what can be wrong with the issuer.
            if "Unable to find a signing key" in str(error):
                raise UnauthorizedError(str(error)) from error
            raise IssuerError(f"{type(error).__name__}: {error}") from error

    @cached_property
    def keys(self) -> jwt.PyJWKClient:
        """The client for the keys, whose address a document has (OpenID Connect Discovery 1.0, section 4)."""
        document = fetch(f"{self.address.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self.address:
            raise IssuerError(f"The document at {self.address} is of another issuer.")
        address = document.get("jwks_uri")
        # Keys that come over a connection that anybody can change prove nothing.
        if not isinstance(address, str) or not address.startswith(f"{self.address.partition('://')[0]}://"):
            raise IssuerError(f"The document at {self.address} has no address of keys that can be trusted.")
        return jwt.PyJWKClient(
            address, lifespan=KEYS_SECONDS, cooldown_duration=COOLDOWN_SECONDS, timeout=ISSUER_TIMEOUT_SECONDS
        )


def fetch(address: str) -> dict[str, Any]:
    """Return the JSON object at an address. Raises IssuerError."""
    try:
        with urlopen(address, timeout=ISSUER_TIMEOUT_SECONDS) as response:  # noqa: S310 - the operator's own setting
            document = json.loads(response.read(MAX_DISCOVERY_BYTES))
    except (OSError, ValueError) as error:
        raise IssuerError(f"{address}: {error}") from error
    if not isinstance(document, dict):
        raise IssuerError(f"{address} is no JSON object.")
    return document


class Tokens(NamedTuple):
    """Which tokens are valid: by whom, for whom, and signed how."""

    issuer: Issuer
    audience: str
    algorithms: Sequence[str]

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token. Raises UnauthorizedError, IssuerError."""
        try:
            header = jwt.get_unverified_header(token)
            # Before the issuer is asked: a token that cannot be valid costs it nothing.
            if header.get("alg") not in self.algorithms or not isinstance(header.get("kid"), str):
                raise UnauthorizedError(
                    f"Its algorithm is not one of {', '.join(self.algorithms)}, or it names no key."
                )
            claims: dict[str, Any] = jwt.decode(
                token,
                self.issuer.key(header["kid"]),
                algorithms=self.algorithms,
                issuer=self.issuer.address,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise UnauthorizedError(f"{type(error).__name__}: {error}") from error
        return claims
