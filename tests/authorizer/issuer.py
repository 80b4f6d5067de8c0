"""An OIDC issuer on this machine, with real keys, that tests can turn off."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key = RSAPrivateKey | EllipticCurvePrivateKey

AUDIENCE = "image-intensity"
DISCOVERY = "/.well-known/openid-configuration"


def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key() -> EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: Key, name: str, algorithm: str) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    kind: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    published: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    return {**published, "kid": name, "alg": algorithm, "use": "sig"}


class LocalIssuer:
    """The issuer: its keys, what it answers, and what it was asked."""

    def __init__(self, host: str, port: int) -> None:
        self.address = f"http://{host}:{port}"
        self.key = rsa_key()
        self.answers: dict[str, Any] = {
            DISCOVERY: {"issuer": self.address, "jwks_uri": f"{self.address}/keys"},
            "/keys": {"keys": [public(self.key, "first", "RS256")]},
        }
        self.asked: list[str] = []

    def publish(self, key: Key, name: str, algorithm: str) -> None:
        self.answers["/keys"]["keys"].append(public(key, name, algorithm))

    def token(
        self,
        key: Any = None,  # noqa: ANN401 - what PyJWT takes
        *,
        algorithm: str = "RS256",
        kid: str | None = "first",
        **claims: Any,  # noqa: ANN401 - any JSON; None leaves a claim out
    ) -> str:
        """A token that is valid, but for what the test changes."""
        usual = {"iss": self.address, "aud": AUDIENCE, "sub": "client-7", "exp": time.time() + 300}
        content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        headers = {"kid": kid} if kid else {}
        return jwt.encode(content, key if key is not None else self.key, algorithm, headers)


@contextmanager
def running_issuer(host: str = "127.0.0.1") -> Iterator[LocalIssuer]:
    """Run an issuer at this address of this machine, on a port of its own."""
    issuer: LocalIssuer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            answer = issuer.answers.get(self.path)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200 if answer is not None else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        issuer = LocalIssuer(host, server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
