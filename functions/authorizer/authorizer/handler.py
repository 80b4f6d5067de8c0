"""The composition root of the authorizer on Lambda: API Gateway's question to its answer."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from authorizer.tokens import PUBLIC_KEY_ALGORITHMS, Issuer, IssuerError, Tokens, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A reason may repeat what a client has sent.
MAX_REASON_LENGTH = 300

logger = logging.getLogger("authorizer")
logger.setLevel(logging.INFO)


def make_tokens(environment: Mapping[str, str]) -> Tokens:
    """Return which tokens are valid. Raises ValueError if a variable is missing or wrong: the function cannot start."""
    issuer, audience = environment["JWT_ISSUER"], environment["JWT_AUDIENCE"]
    algorithms = environment["JWT_ALGORITHMS"].split(",")
    if (
        not issuer.startswith(("https://", "http://"))
        or not audience
        or not PUBLIC_KEY_ALGORITHMS.issuperset(algorithms)
    ):
        message = "JWT_ISSUER is an address, JWT_AUDIENCE is not empty, JWT_ALGORITHMS are names such as RS256,ES256"
        raise ValueError(message)
    return Tokens(Issuer(issuer), audience, algorithms)


tokens = make_tokens(os.environ)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Let the holder of a valid token in. Otherwise raise what API Gateway answers with 401, or with 500."""
    try:
        claims = tokens.verify(event["authorizationToken"].partition(" ")[2])
    except UnauthorizedError as error:
        logger.info("refused: %s", str(error)[:MAX_REASON_LENGTH])
        # API Gateway answers 401 to exactly this message, and 500 to every other one.
        raise Exception("Unauthorized") from None  # noqa: TRY002 - as above
    except IssuerError as error:
        logger.error("the issuer's keys cannot be had: %s", str(error)[:MAX_REASON_LENGTH])  # noqa: TRY400 - raised again
        raise
    return {"principalId": claims["sub"], "policyDocument": allowing_posts(event["methodArn"])}


def allowing_posts(method_arn: str) -> dict[str, Any]:
    """Return the policy for every POST of the stage that `method_arn` is of.

    API Gateway keeps it for a token, and then asks it about other paths too.
    """
    api, stage, *_ = method_arn.split("/")
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/POST/*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
