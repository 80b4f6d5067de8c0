"""Forms as clients really send them: what Starlette's parser does not read by itself, and what it cannot read."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

from gateway.http.form import Form, with_plain_name
from tests.gateway.driver import IMAGE, assert_problem, chunks, form, part

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway

CYRILLIC = "%D1%84%D0%BE%D1%82%D0%BE.png"
ENDED = form()


def sent(disposition: str, content: bytes = IMAGE, more: str = "") -> bytes:
    """A form with one part of this header."""
    return f"--boundary\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n" + ENDED


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        # requests 2.21 with a Cyrillic name.
        (f"form-data; name=\"image\"; filename*=utf-8''{CYRILLIC}", "фото.png"),
        # .NET: FileName and FileNameStar.
        (f"form-data; name=image; filename=\"=?utf-8?B?0YQ=?=\"; filename*=utf-8''{CYRILLIC}", "фото.png"),
        # Apache.
        (f'form-data; name="image"; filename*=UTF-8\'en\'{CYRILLIC}; filename="????.png"', "фото.png"),
        ("form-data; name=\"image\"; filename*=iso-8859-1''%E4.png", "ä.png"),
        ("form-data; name=\"image\"; filename*=utf-8''a%22%5C%3B%0D%0A.png", 'a"\\;\r\n.png'),
        # A name that cannot be read does not count.
        ('form-data; name="image"; filename="a.png"; filename*=utf-8\'\'%FF', "a.png"),
        ('form-data; name="image"; filename="a.png"; filename*=nothing\'\'b', "a.png"),
        ('form-data; name="image"; filename="a.png"; filename*=b.png', "a.png"),
        ('form-data; filename="a.png";   name="image"', "a.png"),
    ],
)
def test_a_name_in_filename_star_is_read_and_counts_more(gateway: Gateway, disposition: str, name: str) -> None:
    answer = gateway.post(sent(disposition))
    assert (answer.status_code, answer.json()["filename"]) == (200, name)
    assert gateway.processor.images == [IMAGE]


def test_a_line_break_before_the_form_is_read(gateway: Gateway) -> None:
    assert gateway.post(b"\r\n" + form(part())).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n" + form(part()),
        b"--other\r\n" + form(part()),
        form(part()).replace(b"boundary\r", b"boundary \r"),
    ],
)
def test_mime_around_the_first_boundary_is_named(gateway: Gateway, body: bytes) -> None:
    for answer in (gateway.post(body), gateway.converse(chunks(*(body[at : at + 1] for at in range(len(body)))))):
        assert "boundary line" in assert_problem(answer, 400, "malformed_request")["detail"]


@pytest.mark.parametrize("space", [" ", "\t"])
def test_a_header_in_two_lines_is_named(gateway: Gateway, space: str) -> None:
    response = gateway.post(sent(f'form-data; name="image";\r\n{space}filename="a.png"'))
    assert "second line" in assert_problem(response, 400, "malformed_request")["detail"]


@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes])
@pytest.mark.parametrize("named", ["base64", "BASE64 "])
def test_a_file_in_base64_is_measured_as_itself(gateway: Gateway, encode: object, named: str) -> None:
    assert callable(encode)
    body = sent('form-data; name="image"; filename="a.png"', encode(IMAGE), f"Content-Transfer-Encoding: {named}\r\n")
    assert gateway.post(body).json()["image_size_bytes"] == len(IMAGE)
    assert gateway.processor.images == [IMAGE]


@pytest.mark.parametrize("encoding", ["binary", "8bit", "7BIT"])
def test_an_encoding_that_is_none_changes_nothing(gateway: Gateway, encoding: str) -> None:
    body = sent('form-data; name="image"; filename="a.png"', more=f"Content-Transfer-Encoding: {encoding}\r\n")
    assert gateway.post(body).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [("quoted-printable", b"=89PNG", 415), ("x-uuencode", b"begin", 415), ("base64", b"\x89PNG", 400)],
)
def test_another_encoding_is_named_and_the_image_is_not_blamed(
    gateway: Gateway, encoding: str, content: bytes, status: int
) -> None:
    more = f"Content-Transfer-Encoding: {encoding}\r\n"
    response = gateway.post(sent('form-data; name="image"; filename="a.png"', content, more))
    problem = assert_problem(response, status, {415: "unsupported_encoding", 400: "malformed_request"}[status])
    assert f"Content-Transfer-Encoding: {encoding}" in problem["detail"]
    assert gateway.processor.images == []


def test_a_file_stays_in_memory(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[bool] = []
    read = UploadFile.read

    async def watched(self: UploadFile, size: int = -1) -> bytes:
        rolled.append(getattr(self.file, "_rolled", True))
        return await read(self, size)

    monkeypatch.setattr(UploadFile, "read", watched)
    content = bytes(5_242_880)
    assert gateway.converse(chunks(*(form(part(content))[at : at + 65_536] for at in range(0, 5_243_100, 65_536))))
    assert (rolled, gateway.processor.images) == ([False], [content])


def test_a_malformed_form_is_not_logged_by_the_parser(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each, which no setting of ours bounds and which is no JSON, would be on standard error."""
    assert_problem(gateway.post(b"--another\r\n"), 400, "malformed_request")
    assert {record.name for record in caplog.records} == {"image-intensity"}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 200_000), st.lists(st.integers(0, 200_000), max_size=6))
def test_a_file_is_the_same_however_it_is_cut(gateway: Gateway, size: int, cuts: list[int]) -> None:
    content = b"x" + bytes(number % 251 for number in range(size))
    body = form(part(content))
    places = sorted({min(cut, len(body)) for cut in cuts})
    pieces = [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
    gateway.redis.flushall()
    gateway.processor.invocations.clear()
    assert gateway.converse(chunks(*pieces)).status == 200
    assert gateway.processor.images == [content]


def test_the_name_is_found_in_time_that_grows_with_the_header_alone() -> None:
    """The parser takes at most 4 KB of a header."""
    for hostile in (b"; filename*" * 370, b"; filename*=" + b"a" * 4000, b";" + b" " * 4000, b"; filename*=a'" * 290):
        assert with_plain_name(hostile) == hostile
    assert Form.spool_max_size == 0
