"""Direct uploads as their sender sees them: the form, the ticket, and measuring with the ticket."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from botocore.credentials import ContainerProvider, CredentialResolver, RefreshableCredentials
from botocore.session import Session

from contract.invocation import StoredImage
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.direct_uploads import LEAST_SECONDS, MOST_SECONDS
from gateway.measuring.direct_uploads import seconds_left as left
from image_intensity import Options, Region
from tests.gateway.driver import CONTENT_TYPE, IMAGE, assert_problem, form, measurement, part

if TYPE_CHECKING:
    import httpx

    from tests.gateway.driver import Gateway, MakeGateway

DIGEST = hashlib.sha256(IMAGE).hexdigest()
ANNOUNCED = {"filename": "Foto ä.png", "size": len(IMAGE), "content_type": "image/png", "sha256": DIGEST}
MAX_UPLOAD_BYTES = 100_000_000


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    """A gateway with a bucket. There is no S3, because the gateway never calls it."""
    return make_gateway(variables={"UPLOAD_BUCKET": "bucket"})


def post(gateway: Gateway, path: str, body: Any, content_type: str = "application/json") -> httpx.Response:  # noqa: ANN401
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.request("POST", path, content=content, headers={"Content-Type": content_type})


def announce(gateway: Gateway, query: str = "", **different: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    response = post(gateway, f"/uploads{query}", {**ANNOUNCED, **different})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def redeem(gateway: Gateway, ticket: str, query: str = "") -> httpx.Response:
    return post(gateway, f"/intensity{query}", {"ticket": ticket})


def test_an_upload_is_one_form_for_just_that_file(gateway: Gateway) -> None:
    response = post(gateway, "/uploads", ANNOUNCED)
    assert response.status_code == 201
    assert "X-Cache" not in response.headers
    answer = response.json()
    assert list(answer) == ["known", "url", "fields", "ticket", "expires_at", "request_id"]
    assert answer["known"] is False
    # SigV4, and the bucket's own host in its region: see SIGNING in gateway.measuring.direct_uploads.
    assert answer["url"] == "https://bucket.s3.eu-central-1.amazonaws.com/"
    fields = answer["fields"]
    assert fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    policy = json.loads(base64.b64decode(fields["policy"]))
    checksum = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    exact = {"bucket": "bucket", "key": fields["key"], "Content-Type": "image/png", "x-amz-checksum-sha256": checksum}
    for name, value in exact.items():
        assert {name: value} in policy["conditions"]
        assert name == "bucket" or fields[name] == value
    assert ["content-length-range", len(IMAGE), len(IMAGE)] in policy["conditions"]
    assert fields["key"].startswith("uploads/")
    assert gateway.processor.images == []


@pytest.mark.parametrize("region", ["us-east-1", "ap-south-2"])
def test_every_region_has_its_own_host(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert announce(gateway)["url"] == f"https://bucket.s3.{region}.amazonaws.com/"


def seconds_left(answer: dict[str, Any]) -> float:
    return (datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize(
    ("size", "seconds"),
    [(1, LEAST_SECONDS), (32_000_000, 1300), (100_000_000, 3425), (1_000_000_000, MOST_SECONDS)],
)
def test_form_and_ticket_live_as_long_as_the_file_may_take_and_expire_together(
    make_gateway: MakeGateway, size: int, seconds: int
) -> None:
    gateway = make_gateway(variables={"UPLOAD_BUCKET": "bucket", "MAX_UPLOAD_BYTES": "1000000000"})
    answer = announce(gateway, size=size)
    assert abs(seconds_left(answer) - seconds) < 30
    policy = json.loads(base64.b64decode(answer["fields"]["policy"]))
    difference = datetime.fromisoformat(policy["expiration"]) - datetime.fromisoformat(answer["expires_at"])
    assert abs(difference.total_seconds()) <= 1


class Role(ContainerProvider):
    """The credentials of a function with SnapStart: Lambda's container endpoint, which tells their end."""

    def __init__(self, seconds: int) -> None:
        self.end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)

    def load(self) -> RefreshableCredentials:
        metadata = {"access_key": "a", "secret_key": "s", "token": "t", "expiry_time": self.end.isoformat()}
        return RefreshableCredentials.create_from_metadata(metadata, lambda: metadata, "container-role")


def test_a_form_ends_with_the_credentials_that_signed_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    role = Role(seconds=1800)
    monkeypatch.setattr(CredentialResolver, "load_credentials", lambda _: role.load())
    answer = announce(gateway, size=100_000_000)
    # To the second, and never later.
    assert timedelta(0) <= role.end - datetime.fromisoformat(answer["expires_at"]) <= timedelta(seconds=2)
    assert seconds_left(announce(gateway)) < LEAST_SECONDS + 5


def test_the_end_of_credentials_is_not_known_of_keys_in_the_environment() -> None:
    assert left(Session().get_credentials(), 3600) == 3600
    assert left(None, 3600) == 3600


def test_no_two_uploads_have_one_key(gateway: Gateway) -> None:
    assert len({announce(gateway)["fields"]["key"] for _ in range(20)}) == 20


def test_a_ticket_is_answered_like_the_file_itself_and_remembered_as_its_content(gateway: Gateway) -> None:
    uploaded = announce(gateway)
    answer = redeem(gateway, uploaded["ticket"])
    stored = StoredImage(bucket="bucket", key=uploaded["fields"]["key"], size=len(IMAGE), sha256=DIGEST)
    assert gateway.processor.images == [stored]
    inline = gateway.upload(filename="Foto ä.png")
    assert (answer.headers["X-Cache"], inline.headers["X-Cache"]) == ("miss", "hit")
    different = {"request_id", "duration_ms"}
    first, second = ({k: v for k, v in each.json().items() if k not in different} for each in (answer, inline))
    assert first == second
    assert first["filename"] == "Foto ä.png"


def test_a_ticket_may_be_used_again_and_with_other_options(gateway: Gateway) -> None:
    ticket = announce(gateway)["ticket"]
    assert redeem(gateway, ticket).headers["X-Cache"] == "miss"
    again = redeem(gateway, ticket, "?detail=full")
    assert again.headers["X-Cache"] == "hit"
    assert again.json()["measurement"]["sha256"] == DIGEST
    assert redeem(gateway, ticket, "?luma=mean").headers["X-Cache"] == "miss"


def test_what_the_cache_knows_need_not_be_uploaded(gateway: Gateway) -> None:
    gateway.upload()
    answer = announce(gateway, sha256=DIGEST.upper())
    assert (answer["known"], answer["url"], answer["fields"]) == (True, None, None)
    measured = redeem(gateway, answer["ticket"])
    assert (measured.status_code, measured.headers["X-Cache"]) == (200, "hit")
    # With other options it is not known.
    assert announce(gateway, "?alpha=white")["known"] is False
    assert announce(gateway, "?region=0,0,1,1")["known"] is False


def test_a_ticket_measures_the_region_of_the_request_that_redeems_it(gateway: Gateway) -> None:
    region = Region(1, 0, 2, 1)
    gateway.processor.answer = measurement(options=Options(region=region), pixel_count=2)
    ticket = announce(gateway, "?region=1,0,2,1")["ticket"]
    answer = redeem(gateway, ticket, "?region=1,0,2,1&detail=full")
    assert (answer.json()["measurement"]["region"], answer.json()["pixel_count"]) == ("1,0,2,1", 2)
    assert gateway.processor.invocations[-1].options.region == region
    assert announce(gateway, "?region=1,0,2,1")["known"] is True
    for other in ("", "?region=1,0,1,1", "?region=0,1,2,1"):
        assert announce(gateway, other)["known"] is False


def test_a_known_digest_with_another_size_is_not_known(gateway: Gateway) -> None:
    gateway.upload()
    answer = announce(gateway, size=len(IMAGE) + 1)
    assert answer["known"] is False
    gateway.processor.answer = ProblemError(ProblemCode.UPLOAD_MISSING, "Nothing is there.")
    assert_problem(redeem(gateway, answer["ticket"]), 409, "upload_missing")


@pytest.mark.parametrize(("connected", "expected"), [(False, "bypass"), (True, "miss")])
def test_uploads_need_no_cache(gateway: Gateway, *, connected: bool, expected: str) -> None:
    gateway.server.connected = connected
    answer = announce(gateway)
    assert answer["known"] is False
    assert redeem(gateway, answer["ticket"]).headers["X-Cache"] == expected


def test_limits_of_uploads_are_their_own(make_gateway: MakeGateway) -> None:
    limits = {"MAX_IMAGE_PIXELS": "5", "MAX_UPLOAD_PIXELS": "6", "MAX_UPLOAD_BYTES": "30"}
    gateway = make_gateway(variables={"UPLOAD_BUCKET": "bucket", **limits})
    ticket = announce(gateway)["ticket"]
    assert redeem(gateway, ticket).headers["X-Cache"] == "miss"
    assert redeem(gateway, ticket).headers["X-Cache"] == "hit"
    # In a request, its six pixels are too many, although its measurement is known.
    assert gateway.upload().headers["X-Cache"] == "miss"
    announce(gateway, size=30)
    problem = assert_problem(post(gateway, "/uploads", {**ANNOUNCED, "size": 31}), 413, "file_too_large")
    assert "30 bytes" in problem["detail"]


def test_health_tells_both_limits(gateway: Gateway, make_gateway: MakeGateway) -> None:
    limits = gateway.get("/health").json()["limits"]
    assert (limits["max_content_length"], limits["max_upload_bytes"]) == (5_242_880, MAX_UPLOAD_BYTES)
    assert make_gateway().get("/health").json()["limits"]["max_upload_bytes"] == 0


def test_a_413_names_no_way_that_would_not_do(gateway: Gateway) -> None:
    answer = gateway.converse([], {"content-length": "100200000", "expect": "100-continue"})
    detail = assert_problem(answer, 413, "file_too_large")["detail"]
    assert detail == "The file is larger than 100,000,000 bytes, the most that this service takes."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filename": ""}, "The field filename cannot be '': it is not empty."),
        ({"filename": 1}, "The field filename cannot be 1: it is a text."),
        ({"filename": None}, "The field filename cannot be null: it is a text."),
        ({"filename": "x" * 1025}, "…: it has at most 1,024 characters."),
        ({"size": -1}, "The field size cannot be -1: it is at least 0."),
        ({"size": "20"}, "The field size cannot be '20': it is a whole number."),
        ({"size": 2.5}, "The field size cannot be 2.5: it is a whole number."),
        ({"size": True}, "The field size cannot be true: it is a whole number."),
        ({"content_type": "x"}, "The field content_type cannot be 'x': it is a media type, such as image/png."),
        ({"content_type": "image/png; charset=x"}, "it is a media type, such as image/png."),
        ({"content_type": ""}, "it is a media type, such as image/png."),
        ({"sha256": "0" * 63}, "it is 64 hexadecimal digits."),
        ({"sha256": "0" * 63 + "g"}, "it is 64 hexadecimal digits."),
        ({"sha256": f"{DIGEST}\n"}, "it is 64 hexadecimal digits."),
        ({"luma": "bt709", "b": 1}, "Unknown field: b, luma. The API is described at /docs."),
    ],
)
def test_what_is_said_of_a_file_is_checked_and_what_is_wrong_has_a_sentence(
    gateway: Gateway, wrong: dict[str, Any], said: str
) -> None:
    assert sentence(gateway, {**ANNOUNCED, **wrong}).endswith(said)


def sentence(gateway: Gateway, body: Any) -> str:  # noqa: ANN401 - any JSON
    return str(assert_problem(post(gateway, "/uploads", body), 400, "malformed_request")["detail"])


def test_what_is_missing_has_a_sentence(gateway: Gateway) -> None:
    announced = {name: value for name, value in ANNOUNCED.items() if name not in {"size", "sha256"}}
    assert sentence(gateway, announced) == "The field sha256 is missing. The field size is missing."
    assert sentence(gateway, b"{") == "The body is not JSON: EOF while parsing an object at line 1 column 1."
    assert sentence(gateway, b"[]") == "The body is JSON, but not an object."
    assert_problem(post(gateway, "/uploads", {**ANNOUNCED, "size": 0}), 400, "empty_file")
    assert_problem(post(gateway, "/uploads", form(part()), CONTENT_TYPE), 400, "malformed_request")


@pytest.mark.parametrize("path", ["/uploads", "/intensity"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"ticket": "\\ud800"}', b" " * 16_385, b'{"ticket": 1}']
)
def test_a_body_that_is_not_the_json_asked_for_is_malformed(gateway: Gateway, path: str, body: bytes) -> None:
    assert_problem(post(gateway, path, body), 400, "malformed_request")


def test_a_size_may_be_written_as_any_json_number_that_is_whole(gateway: Gateway) -> None:
    assert announce(gateway, size=20.0)["known"] is False


@pytest.mark.parametrize("query", ["?detail=full", "?luma=x", "?luma=mean&luma=mean", "?size=1"])
def test_unknown_options_of_an_upload_are_errors(gateway: Gateway, query: str) -> None:
    assert_problem(post(gateway, f"/uploads{query}", ANNOUNCED), 400, "malformed_request")


def test_without_a_bucket_there_are_no_uploads(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    assert_problem(post(gateway, "/uploads", ANNOUNCED), 404, "not_found")
    assert_problem(post(gateway, "/intensity", {"ticket": "x"}), 400, "malformed_request")
    problem = assert_problem(gateway.upload(bytes(5_242_881)), 413, "file_too_large")
    assert "/uploads" not in problem["detail"]


def altered(ticket: str) -> list[str]:
    """The ticket with one of its parts changed, and texts that are not tickets."""
    payload, stamp, signature = ticket.rsplit(".", 2)
    flipped = payload[:-9] + ("A" if payload[-9] != "A" else "B") + payload[-8:]
    parts = [(flipped, stamp, signature), (payload, stamp, f"x{signature}"), (payload, f"x{stamp}", signature)]
    return [*(".".join(each) for each in parts), payload, "", "é"]


@pytest.mark.parametrize("number", range(6))
def test_a_ticket_that_was_changed_is_not_valid(gateway: Gateway, number: int) -> None:
    ticket = announce(gateway)["ticket"]
    assert_problem(redeem(gateway, altered(ticket)[number]), 400, "invalid_ticket")
    assert gateway.processor.images == []


@pytest.mark.parametrize("other", [{"UPLOAD_BUCKET": "other"}, {"UPLOAD_BUCKET": "bucket", "SECRET_KEY": "another"}])
def test_a_ticket_of_another_service_is_not_valid(
    gateway: Gateway, make_gateway: MakeGateway, other: dict[str, str]
) -> None:
    foreign = announce(make_gateway(variables=other))["ticket"]
    assert_problem(redeem(gateway, foreign), 400, "invalid_ticket")


def test_a_ticket_expires(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = announce(gateway)["ticket"]
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now + LEAST_SECONDS - 5)
        assert redeem(gateway, ticket).status_code == 200
        later.setattr(time, "time", lambda: now + LEAST_SECONDS + 5)
        assert_problem(redeem(gateway, ticket), 410, "expired_ticket")
        later.setattr(time, "time", lambda: now + MOST_SECONDS + 5)
        assert_problem(redeem(gateway, ticket), 410, "expired_ticket")


@pytest.mark.parametrize(("code", "status"), [(ProblemCode.UPLOAD_MISSING, 409), (ProblemCode.UPLOAD_MISMATCH, 400)])
def test_what_the_processor_finds_wrong_with_an_upload_is_passed_on(
    gateway: Gateway, code: ProblemCode, status: int
) -> None:
    gateway.processor.answer = ProblemError(code, "It is not there.")
    assert_problem(redeem(gateway, announce(gateway)["ticket"]), status, code.value)
    # The problem is not remembered.
    gateway.processor.answer = measurement()
    assert redeem(gateway, announce(gateway)["ticket"]).headers["X-Cache"] == "miss"


def test_a_new_secret_ends_old_tickets_and_nothing_else(make_gateway: MakeGateway) -> None:
    server = fakeredis.FakeServer()
    before, after = (
        make_gateway(variables={"UPLOAD_BUCKET": "bucket", "SECRET_KEY": secret}, server=server)
        for secret in ("first", "second")
    )
    known = before.upload()
    ticket = announce(before, sha256="0" * 64)["ticket"]
    assert redeem(before, ticket).status_code == 200
    assert_problem(redeem(after, ticket), 400, "invalid_ticket")
    assert redeem(after, announce(after, sha256="0" * 64)["ticket"]).status_code == 200
    # The record of the old secret is not believed, so the image is measured once more.
    again = [after.upload() for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in again] == ["miss", "hit"]
    assert {answer.json()["average_intensity"] for answer in [known, *again]} == {known.json()["average_intensity"]}
    assert not [line for line in after.log() if line["level"] in {"WARNING", "ERROR"}]
