"""Has each POST to a running service need an API key. Each way of running has its own way."""

from __future__ import annotations

import secrets
import sys
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.e2e.engines import AWS, SMALL, address_of, deploy, run, wait_until_ready
from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.compose import Compose
    from tests.e2e.conftest import Engine

# What a key may do at once, and in a day.
BURST, DAY = 5, 8
# As in samconfig.toml for `make deploy`.
DEV = "image-intensity-dev"


class Guarded(NamedTuple):
    """A service that wants a key, and two keys: the second is for using up what a key may do.

    has_own_answers: whether a refusal has the template's shape and headers. MiniStack takes no gateway responses from
    the body of an API, so there only the status is right; tests/test_deployment.py compares what AWS would answer.
    """

    url: str
    key: str
    busy_key: str
    has_own_answers: bool = True


def make_keys() -> tuple[str, str]:
    return secrets.token_urlsafe(32), secrets.token_urlsafe(32)


def settings(*keys: str) -> dict[str, str]:
    """The settings of `make run` and Compose for these keys."""
    digests = ",".join(sha256(key.encode()).hexdigest() for key in keys)
    return {"API_KEYS": digests, "RATE_LIMIT_PER_KEY": f"{BURST}/3second;{DAY}/day"}


@contextmanager
def guarded_run() -> Iterator[Guarded]:
    keys = make_keys()
    # Without Redis, each worker counts its share of a limit by itself, and connections are not divided evenly.
    with running_server(**settings(*keys)) as server:
        yield Guarded(server.address, *keys)


@contextmanager
def guarded_compose(compose: Compose) -> Iterator[Guarded]:
    """Start the gateway again with keys, and the cache with a password of one's own; at the end without."""
    keys = make_keys()
    kept = compose("exec", "redis", "cat", "password").strip()
    try:
        compose("up", "--wait", "--no-build", **settings(*keys), REDIS_PASSWORD='one\'s "own" $x \\')
        assert "NOAUTH" in compose("exec", "redis", "valkey-cli", "-a", kept, "get", "x")
        compose.wait_for_cache()
        yield Guarded(compose.url, *keys)
    finally:
        compose("up", "--wait", "--no-build")
    assert compose("exec", "redis", "cat", "password").strip() == kept
    compose.wait_for_cache()


def guarded_stack(engine: Engine) -> Guarded:
    """Deploy the template with keys beside the one of the other tests, and have `make key`'s program make some."""
    endpoint = urlsplit(engine.url)._replace(path="").geturl()
    environment = {**AWS, "AWS_ENDPOINT_URL": endpoint, "PYTHONPATH": "infra"}
    limits = (f"KeyRequestBurst={BURST}", "KeyRequestsPerSecond=1", f"KeyRequestsPerDay={DAY}")
    assert engine.folder
    deploy(endpoint, engine.folder, *SMALL, "Access=keys", *limits, stack=DEV)
    url = address_of(endpoint, DEV)
    wait_until_ready(url)
    program = (sys.executable, "-m", "deployment.keys", "default")
    first, second = (run(*program, name, environment=environment) for name in ("first", "second"))
    assert [line.split()[1] for line in run(*program, environment=environment).splitlines()] == ["first", "second"]
    return Guarded(url, first, second, has_own_answers=False)
