"""The cache against real servers: a Redis in every state, and servers that are not Redis."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.measuring import breaker as breaker_module
from gateway.measuring.cache import make_cache
from gateway.measuring.redis_store import RedisStore
from tests.gateway.driver import IMAGE, Gateway
from tests.gateway.redis_server import RedisServer, redis_server
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.gateway.driver import MakeGateway

# A request may lose this much time to a failing cache.
ALLOWANCE_SECONDS = 0.3
# The machine may add this much to a measured time.
NOISE_SECONDS = 0.1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def cached(make_gateway: MakeGateway) -> Iterator[MakeGateway]:
    """Make gateways with the cache that these variables configure."""
    with ExitStack() as stack:

        def make(**variables: str) -> Gateway:
            gateway = make_gateway(variables=variables)
            cache = make_cache(gateway.settings, gateway.logger)
            store = cache.store
            assert isinstance(store, RedisStore)
            gateway = make_gateway(variables=variables, cache=cache)
            stack.callback(lambda: gateway.run(store.close()))
            return gateway

        yield make


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker with a short rest, which does not become longer."""
    monkeypatch.setattr(breaker_module, "FIRST_REST_SECONDS", 0.2)
    monkeypatch.setattr(breaker_module, "LONGEST_REST_SECONDS", 0.2)


def outcomes(gateway: Gateway, *contents: bytes) -> list[str]:
    """How the cache took part in uploads, all of which are answered."""
    responses = [gateway.upload(content) for content in contents or (IMAGE, IMAGE)]
    assert {response.status_code for response in responses} == {200}
    return [response.headers["x-cache"] for response in responses]


def warnings(gateway: Gateway) -> list[str]:
    """The errors in the log's lines about the cache."""
    return [line["error"] for line in gateway.log() if line["level"] != "INFO"]


def test_the_second_upload_is_a_hit(server: RedisServer, cached: MakeGateway) -> None:
    gateway = cached(**server.address, CACHE_TTL_SECONDS="50")
    assert outcomes(gateway) == ["miss", "hit"]
    with server.connect() as client:
        [key] = client.keys()
        assert 40 < client.ttl(key) <= 50


def test_two_gateways_share_what_they_measured(server: RedisServer, cached: MakeGateway) -> None:
    assert outcomes(cached(**server.address), IMAGE) == ["miss"]
    assert outcomes(cached(**server.address), IMAGE) == ["hit"]


@pytest.mark.usefixtures("impatient")
def test_a_redis_that_is_stopped_and_started_again_is_used_again(server: RedisServer, cached: MakeGateway) -> None:
    gateway = cached(**server.address)
    assert outcomes(gateway) == ["miss", "hit"]
    server.stop()
    assert outcomes(gateway) == ["bypass", "bypass"]
    server.start()
    time.sleep(breaker_module.LONGEST_REST_SECONDS)
    assert outcomes(gateway) == ["miss", "hit"]
    assert len(warnings(gateway)) == 1


def test_a_restart_that_no_request_meets_is_not_noticed(server: RedisServer, cached: MakeGateway) -> None:
    gateway = cached(**server.address)
    outcomes(gateway)
    server.stop()
    server.start()
    assert outcomes(gateway) == ["miss", "hit"]
    assert warnings(gateway) == []


@pytest.mark.usefixtures("impatient")
def test_a_service_that_starts_before_its_redis_finds_it_later(tmp_path: Path, cached: MakeGateway) -> None:
    server = RedisServer(tmp_path)
    gateway = cached(**server.address)
    assert outcomes(gateway, IMAGE) == ["bypass"]
    try:
        server.start()
        time.sleep(breaker_module.LONGEST_REST_SECONDS)
        assert outcomes(gateway) == ["miss", "hit"]
    finally:
        server.stop()


@pytest.mark.usefixtures("impatient")
def test_a_full_redis_is_a_miss_each_time_and_works_again_when_there_is_room(
    server: RedisServer, cached: MakeGateway
) -> None:
    gateway = cached(**server.address)
    assert outcomes(gateway, IMAGE) == ["miss"]
    with server.connect() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        assert outcomes(gateway, b"another", b"another", b"a third", IMAGE) == ["miss", "miss", "miss", "hit"]
        assert len(warnings(gateway)) == 1
        assert "OutOfMemoryError" in warnings(gateway)[0]
        client.config_set("maxmemory", "0")
    time.sleep(breaker_module.LONGEST_REST_SECONDS)
    assert outcomes(gateway, b"another", b"another") == ["miss", "hit"]


def test_a_redis_that_evicts_is_never_wrong(server: RedisServer, cached: MakeGateway) -> None:
    gateway = cached(**server.address)
    with server.connect() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.flushall()
        assert outcomes(gateway) == ["miss", "hit"]
        client.flushall()
    assert outcomes(gateway) == ["miss", "hit"]


def test_a_password_is_used_and_a_wrong_one_is_a_bypass(tmp_path: Path, cached: MakeGateway) -> None:
    with redis_server(tmp_path, "--requirepass", "right", client={"password": "right"}) as server:
        assert outcomes(cached(**server.address, REDIS_PASSWORD="right")) == ["miss", "hit"]
        for wrong in ({"REDIS_PASSWORD": "t0p-s3cret"}, {}):
            gateway = cached(**server.address, **wrong)
            assert outcomes(gateway) == ["bypass", "bypass"]
            assert len(warnings(gateway)) == 1
            assert "t0p-s3cret" not in gateway.output.getvalue()


def test_a_user_with_rights_to_our_keys_alone_is_enough(server: RedisServer, cached: MakeGateway) -> None:
    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "service", "on", ">right", "~intensity:*", "+getrange", "+set")
        client.execute_command("ACL", "SETUSER", "reader", "on", ">right", "~intensity:*", "+getrange")
        client.execute_command("ACL", "SETUSER", "stranger", "on", ">right", "~other:*", "+getrange", "+set")

    def user(name: str, *, password: str) -> Gateway:
        return cached(**server.address, REDIS_USERNAME=name, REDIS_PASSWORD=password)

    assert outcomes(user("service", password="right")) == ["miss", "hit"]
    assert outcomes(user("reader", password="right"), IMAGE, b"another", b"another") == ["hit", "miss", "miss"]
    assert outcomes(user("stranger", password="right")) == ["bypass", "bypass"]
    assert outcomes(user("service", password="wrong")) == ["bypass", "bypass"]


def make_certificate(folder: Path, host: str) -> tuple[str, str]:
    """Make a certificate for an address, which is its own authority. Returns where it and its key are."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    builder = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = folder / "redis.pem", folder / "redis.key"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    files[1].write_bytes(private)
    return str(files[0]), str(files[1])


@contextmanager
def tls_server(folder: Path, host: str = "127.0.0.1", *further: str) -> Iterator[tuple[RedisServer, str]]:
    """Run a Redis that speaks TLS only. Yields the file of its certificate, too."""
    certificate, key = make_certificate(folder, host)
    options = ["--tls-port", "PORT", "--port", "0", "--tls-auth-clients", "no", "--tls-ca-cert-file", certificate]
    options += ["--tls-cert-file", certificate, "--tls-key-file", key, *further]
    client = {"ssl": True, "ssl_ca_certs": certificate, "ssl_check_hostname": False}
    with redis_server(folder, *options, client=client) as server:
        yield server, certificate


def test_tls_is_spoken_with_a_server_that_is_trusted(
    tmp_path: Path, cached: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path) as (server, certificate):
        assert outcomes(cached(**server.address, REDIS_TLS="true")) == ["bypass", "bypass"]
        assert outcomes(cached(**server.address)) == ["bypass", "bypass"]
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        assert outcomes(cached(**server.address, REDIS_TLS="true")) == ["miss", "hit"]


def test_tls_with_another_host_than_the_certificates_is_a_bypass(
    tmp_path: Path, cached: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path, "127.0.0.2") as (server, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        gateway = cached(**server.address, REDIS_TLS="true")
        assert outcomes(gateway) == ["bypass", "bypass"]
        assert "CERTIFICATE_VERIFY_FAILED" in warnings(gateway)[0]


@pytest.mark.usefixtures("deployed")
def test_tls_with_a_server_that_does_not_speak_it_is_a_bypass(server: RedisServer, cached: MakeGateway) -> None:
    assert outcomes(cached(**server.address, REDIS_TLS="true")) == ["bypass", "bypass"]


@pytest.mark.usefixtures("impatient")
def test_the_cluster_protocol_is_spoken(tmp_path: Path, cached: MakeGateway) -> None:
    # By default, the bus has the port plus 10,000, which may not exist.
    with redis_server(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        gateway = cached(**server.address, REDIS_CLUSTER="true")
        assert outcomes(gateway, IMAGE) == ["bypass"]
        server.own_all_slots()
        time.sleep(breaker_module.LONGEST_REST_SECONDS)
        assert outcomes(gateway, *(b"image %d" % number for number in range(5)), b"image 3") == ["miss"] * 5 + ["hit"]


@contextmanager
def impostor(answer: Callable[[socket.socket], None]) -> Iterator[dict[str, str]]:
    """A TCP server that is not Redis. It calls `answer` with every connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=converse, args=[connection]).start()

        def converse(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(0.05)
                while not over.is_set():
                    try:
                        answer(connection)
                    except TimeoutError:
                        continue
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(listener.getsockname()[1])}
        finally:
            over.set()
            thread.join()


def saying(content: bytes) -> Callable[[socket.socket], None]:
    """An answer to whatever is asked."""

    def answer(connection: socket.socket) -> None:
        if not connection.recv(4096):
            raise OSError
        connection.sendall(content)

    return answer


http = saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
noise = saying(bytes(range(255, 0, -1)) + b"\r\n")
silence = saying(b"")
huge = saying(b"$999999999999\r\nx")


def trickle(connection: socket.socket) -> None:
    """An answer that never ends, although each read of it is fast."""
    time.sleep(0.03)
    connection.sendall(b"$")


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)
    raise OSError


def integer(connection: socket.socket) -> None:
    """Redis's protocol, but a number for every value."""
    if not (asked := connection.recv(65_536)):
        raise OSError
    connection.sendall(b":1\r\n" if b"GETRANGE" in asked else b"+OK\r\n" * max(1, asked.count(b"*")))


def test_an_answer_that_is_no_record_is_a_miss(cached: MakeGateway) -> None:
    with impostor(integer) as address:
        gateway = cached(**address)
        assert outcomes(gateway) == ["miss", "miss"]
        assert gateway.get("/health/ready").json()["cache"] == "down"


def test_after_a_failover_the_next_write_goes_to_the_new_primary(tmp_path: Path, cached: MakeGateway) -> None:
    with redis_server(tmp_path) as old, redis_server(tmp_path) as new, ExitStack() as stack:
        leads_to = [old.port]
        ways: dict[socket.socket, socket.socket] = {}

        def endpoint(connection: socket.socket) -> None:
            """Lead a new connection to the present primary, as a name does."""
            if connection not in ways:
                ways[connection] = stack.enter_context(socket.create_connection(("127.0.0.1", leads_to[0])))
            for source in select.select([connection, ways[connection]], [], [], 0.05)[0]:
                if not (piece := source.recv(65_536)):
                    raise OSError
                (ways[connection] if source is connection else connection).sendall(piece)

        with impostor(endpoint) as address, old.connect() as before, new.connect() as after:
            gateway = cached(**address)
            assert outcomes(gateway) == ["miss", "hit"]
            before.replicaof("127.0.0.1", str(new.port))
            leads_to[0] = new.port
            assert gateway.get("/health/ready").json()["cache"] == "ok"
            assert outcomes(gateway, b"another", b"another", b"a third") == ["miss", "hit", "miss"]
            assert len(after.keys("intensity:*:*")) == 3
            assert warnings(gateway) == []


def test_a_replica_alone_is_not_ready(tmp_path: Path, cached: MakeGateway) -> None:
    with redis_server(tmp_path) as server, server.connect() as client:
        gateway = cached(**server.address)
        client.replicaof("127.0.0.1", "1")
        assert gateway.get("/health/ready").json()["cache"] == "down"
        assert outcomes(gateway) == ["miss", "miss"]


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("answer", [http, noise, trickle, silence, huge, hang_up])
def test_what_is_no_redis_is_a_bypass_within_the_allowance_and_then_costs_nothing(
    cached: MakeGateway, answer: Callable[[socket.socket], None]
) -> None:
    with impostor(answer) as address:
        assert_costs_little(lambda: cached(**address))


def assert_costs_little(make: Callable[[], Gateway]) -> None:
    """The first request loses at most the allowance, the next ones nothing, and the log has one line."""
    attempts = []
    # A busy machine makes one attempt slow. A broken deadline makes all of them slow.
    for _ in range(3):
        gateway = make()
        gateway.get("/health")
        durations = []
        for _ in range(3):
            begun = time.perf_counter()
            assert outcomes(gateway, IMAGE) == ["bypass"]
            durations.append(time.perf_counter() - begun)
        assert len(warnings(gateway)) == 1
        attempts.append(durations)
    first, *others = (min(at_this_place) for at_this_place in zip(*attempts, strict=True))
    assert first < min(others) + ALLOWANCE_SECONDS
    assert max(others) < min(others) + NOISE_SECONDS


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_a_host_that_cannot_be_found_is_a_bypass(cached: MakeGateway, host: str) -> None:
    assert_costs_little(lambda: cached(REDIS_HOST=host))


@pytest.mark.usefixtures("deployed")
def test_a_connection_that_is_never_accepted_is_a_bypass(cached: MakeGateway) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        # The kernel accepts this many connections by itself. The next one waits for ever.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.05)
        assert_costs_little(lambda: cached(REDIS_HOST="127.0.0.1", REDIS_PORT=str(listener.getsockname()[1])))


@pytest.mark.usefixtures("deployed")
def test_an_address_without_a_server_is_a_bypass(cached: MakeGateway, tmp_path: Path) -> None:
    assert_costs_little(lambda: cached(**RedisServer(tmp_path).address))
