"""A body that is the file itself: `curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'`."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.http.file import file_types
from image_intensity import DEFAULT_FORMATS
from tests.gateway.driver import CONTENT_TYPE, IMAGE, assert_problem, chunks

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway

FILE_TYPES = file_types(DEFAULT_FORMATS)
PNG: dict[str, str | bytes] = {"content-type": "image/png"}
LARGE = {"MAX_CONTENT_LENGTH": "1000", "MAX_UPLOAD_BYTES": "5000", "UPLOAD_BUCKET": "bucket"}


@pytest.mark.parametrize("content_type", [*FILE_TYPES, "IMAGE/JPEG", "image/png; charset=binary"])
def test_the_body_is_measured_as_it_is_and_has_no_name(gateway: Gateway, content_type: str) -> None:
    response = gateway.post(IMAGE, content_type=content_type)
    assert response.status_code == 200
    assert response.json()["filename"] == ""
    assert [bytes(image) for image in gateway.processor.images] == [IMAGE]  # type: ignore[arg-type]


def test_it_is_the_same_content_as_in_a_form(gateway: Gateway) -> None:
    assert gateway.upload().headers["x-cache"] == "miss"
    assert gateway.post(IMAGE, content_type="image/png").headers["x-cache"] == "hit"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="photo 1.jpg"', "photo 1.jpg"),
        ("attachment; filename=photo.jpg", "photo.jpg"),
        ('inline; filename="a\\"b.png"', 'a"b.png'),
        ("attachment; filename*=UTF-8''Foto%20%C3%A4.png", "Foto ä.png"),
        ("attachment; filename=\"x.png\"; filename*=UTF-8''%E5%86%99.png", "写.png"),
        ('attachment; filename="Foto ä.png"', "Foto ä.png"),
        ("attachment", ""),
        ("", ""),
        ("filename", ""),
    ],
)
def test_its_name_may_be_in_content_disposition(gateway: Gateway, disposition: str, name: str) -> None:
    headers = {"content-type": "image/png", "content-disposition": disposition}
    assert gateway.converse(chunks(IMAGE[:3], b"", IMAGE[3:]), headers).json()["filename"] == name
    assert [bytes(image) for image in gateway.processor.images] == [IMAGE]  # type: ignore[arg-type]


def test_a_long_content_disposition_is_not_parsed(gateway: Gateway) -> None:
    headers = {**PNG, "content-disposition": 'attachment; filename="' + ";" * 90_000}
    begun = time.process_time()
    answer = gateway.converse(chunks(IMAGE), headers)
    assert time.process_time() - begun < 0.2
    assert "Content-Disposition" in assert_problem(answer, 400, "malformed_request")["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP"])
@pytest.mark.parametrize("content_type", ["image/png", CONTENT_TYPE, "application/json", "text/plain", None])
def test_a_body_that_is_compressed_is_told_so_and_the_image_is_not_blamed(
    make_gateway: MakeGateway, encoding: str, content_type: str | None
) -> None:
    gateway = make_gateway(variables=LARGE)
    headers = {**sent_as(content_type), "content-encoding": encoding}
    answer = gateway.converse(chunks(gzip.compress(IMAGE)), headers, typed=False)
    assert f"Content-Encoding: {encoding}" in assert_problem(answer, 415, "unsupported_encoding")["detail"]


@pytest.mark.parametrize("encoding", ["", "identity", " Identity"])
def test_a_body_that_says_that_it_is_not_compressed_is_measured(gateway: Gateway, encoding: str) -> None:
    assert gateway.converse(chunks(IMAGE), {**PNG, "content-encoding": encoding}).status_code == 200


def test_a_body_without_bytes_is_an_empty_file(gateway: Gateway) -> None:
    assert_problem(gateway.post(b"", content_type="image/jpeg"), 400, "empty_file")


PICTURES = [b"\x89PNG\r\n\x1a\n" + IMAGE, b"\xff\xd8\xff\xe0" + IMAGE, b"\xff\xd8\xff"]
# curl --data-binary; HTTPie; Android; what is not so.
TYPES = [None, "application/x-www-form-urlencoded", "application/json", "image/*", "image/jpg", "text/plain", ""]


def sent_as(content_type: str | None) -> dict[str, str | bytes]:
    return {} if content_type is None else {"content-type": content_type}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("bucket", ["", "bucket"])
def test_an_image_of_any_type_or_none_is_measured_by_its_first_bytes(
    make_gateway: MakeGateway, picture: bytes, content_type: str | None, bucket: str
) -> None:
    gateway = make_gateway(variables={"UPLOAD_BUCKET": bucket})
    for pieces in ([picture], [picture[at : at + 1] for at in range(len(picture))]):
        assert gateway.converse(chunks(*pieces), sent_as(content_type), typed=False).status_code == 200
    assert [bytes(image) for image in gateway.processor.images] == [picture]  # type: ignore[arg-type]


@pytest.mark.parametrize("content_type", [kind for kind in TYPES if kind != "image/*"])
def test_another_type_and_no_image_is_told_both_ways_to_send_an_image(
    gateway: Gateway, content_type: str | None
) -> None:
    answer = gateway.converse(chunks(b"\xff\xd8", b"\0" * 999), sent_as(content_type), typed=False)
    detail = assert_problem(answer, 400, "missing_image" if content_type is None else "malformed_request")["detail"]
    assert "multipart/form-data" in detail
    assert all(kind in detail for kind in FILE_TYPES)
    assert "Nothing was sent" not in detail
    assert gateway.processor.images == []


def test_nothing_was_sent_is_said_when_nothing_was(gateway: Gateway) -> None:
    answer = gateway.converse(chunks(b""), typed=False)
    assert assert_problem(answer, 400, "missing_image")["detail"].startswith("Nothing was sent. ")


def test_a_body_of_another_type_that_is_no_image_is_not_read(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(variables=LARGE)
    headers = {"content-type": "text/plain", "content-length": "9999"}
    answer = gateway.converse(chunks(*[b"x" * 100] * 99), headers)
    assert_problem(answer, 400, "malformed_request")
    assert answer.extensions["consumed"] == 100
    picture = PICTURES[0] + bytes(9999 - len(PICTURES[0]))
    assert_problem(gateway.converse(chunks(picture), headers), 413, "file_too_large")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40)
    | st.tuples(st.sampled_from(["idna", "utf-7", "unicode_escape", "nothing", ""]), st.text("%80aF'", max_size=9)).map(
        lambda both: f"attachment; filename*={both[0]}''{both[1]}"
    )
)
def test_no_content_disposition_is_a_fault(gateway: Gateway, disposition: str) -> None:
    named = gateway.converse(chunks(IMAGE), {**PNG, "content-disposition": disposition.encode("latin-1")})
    assert named.status_code in {200, 400}
