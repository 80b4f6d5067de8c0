"""When the function connects its cache: at init, or after each restore of a snapshot. With a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import snapshot_restore_py
from botocore.session import Session

from tests.gateway.redis_server import redis_server
from tests.gateway.test_handler import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    import redis

    from tests.gateway.driver import FakeLambda
    from tests.gateway.redis_server import RedisServer

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


class Environment:
    """An environment of the function, as Lambda starts it, and the Redis of its cache."""

    def __init__(self, load: Callable[..., ModuleType], server: RedisServer, redis: redis.Redis) -> None:
        self.load, self.server, self.redis = load, server, redis
        self.earlier = self.received()

    def received(self) -> int:
        """How many connections Redis has had."""
        return int(self.redis.info("stats")["total_connections_received"])

    @property
    def connections(self) -> int:
        """How many of these are the function's."""
        return self.received() - self.earlier

    def init(self, **variables: str) -> ModuleType:
        usual = {"APP_ENV": "production", "SECRET_KEY": "own", "PROCESSOR_FUNCTION_NAME": "the-processor"}
        self.module = self.load(**usual, **self.server.address, **variables)
        return self.module

    def restore(self) -> None:
        """What Lambda's runtime does, after it has started an environment from a snapshot."""
        for hook, arguments, keywords in hooks():
            hook(*arguments, **keywords)

    def outcome(self) -> str:
        """How the cache took part in a request."""
        answer = self.module.lambda_handler(event("post_image"), None)
        assert answer["statusCode"] == 200
        return str(answer["headers"]["x-cache"])


def hooks() -> list[Any]:
    registered: list[Any] = snapshot_restore_py.get_after_restore()
    return registered


@pytest.fixture
def environment(
    load: Callable[..., ModuleType],
    function: FakeLambda,  # noqa: ARG001 - needed first
    tmp_path: Path,
) -> Iterator[Environment]:
    hooks().clear()
    with redis_server(tmp_path) as server, server.connect() as client:
        environment = Environment(load, server, client)
        yield environment
        environment.module.asyncio.get_event_loop().run_until_complete(environment.module.cache.store.close())
    hooks().clear()


def test_without_a_snapshot_init_connects_and_the_first_request_uses_that(environment: Environment) -> None:
    environment.init()
    assert hooks() == []
    assert environment.connections == 1
    assert [environment.outcome(), environment.outcome()] == ["miss", "hit"]
    assert environment.connections == 1


def test_a_snapshot_has_no_connection_and_each_restore_makes_one_which_the_first_request_uses(
    environment: Environment,
) -> None:
    environment.init(**SNAP_START)
    assert environment.connections == 0
    environment.restore()
    assert environment.connections == 1
    assert [environment.outcome(), environment.outcome()] == ["miss", "hit"]
    assert environment.connections == 1


def test_a_restore_connects_anew_even_if_a_connection_was_in_the_snapshot(environment: Environment) -> None:
    environment.init(**SNAP_START)
    environment.restore()
    before = environment.redis.client_list()
    environment.redis.client_kill_filter(_type="normal", skipme=True)
    environment.restore()
    assert environment.connections == 2
    assert environment.outcome() == "miss"
    assert environment.connections == 2
    ids = {each["id"] for each in environment.redis.client_list()}
    assert len(ids - {each["id"] for each in before}) == 1


def test_a_restore_beside_a_redis_that_is_down_is_no_error_and_the_first_request_asks_it_as_usual(
    environment: Environment,
) -> None:
    environment.init(**SNAP_START)
    environment.server.stop()
    environment.restore()
    environment.server.start()
    assert [environment.outcome(), environment.outcome()] == ["miss", "hit"]


def test_the_client_that_signs_forms_is_in_the_snapshot(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    create_client = Session.create_client

    def create(self: Session, service_name: str, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - botocore's
        made.append(service_name)
        return create_client(self, service_name, *arguments, **keywords)

    monkeypatch.setattr(Session, "create_client", create)
    module = environment.init(**SNAP_START, UPLOAD_BUCKET="uploads")
    assert made == ["s3"]
    module.uploads.client()
    assert made == ["s3"]
