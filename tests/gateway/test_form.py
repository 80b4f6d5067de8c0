"""Forms as clients really send them, and bodies that are no form of the API: each of those has its problem."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

from gateway.http.form import Form, with_plain_name
from tests.gateway.driver import BOUNDARY, CONTENT_TYPE, IMAGE, Gateway, assert_problem, chunks, form, part

if TYPE_CHECKING:
    from collections.abc import Callable

GARBAGE = bytes(range(256)) * 8
CYRILLIC = "%D1%84%D0%BE%D1%82%D0%BE.png"


def sent(disposition: str, content: bytes = IMAGE, more: str = "") -> bytes:
    """A form with one part of this header."""
    return f"--boundary\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n" + form()


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        ("application/json", "multipart/form-data"),
        ("image/gif", "multipart/form-data"),
        ("application/x-www-form-urlencoded", "multipart/form-data"),
        ("multipart/mixed; boundary=boundary", "multipart/form-data"),
        ("multipart/form-dataX; boundary=boundary", "multipart/form-data"),
        ("", "multipart/form-data"),
        (";", "multipart/form-data"),
        ("multipart/form-data", "boundary"),
        ("multipart/form-data; boundary", "boundary"),
        ("multipart/form-data; boundary=", ""),
        ('multipart/form-data; boundary="', ""),
        ("multipart/form-data; charset=utf-8", "boundary"),
        ("multipart/form-data; boundary=another", "boundary line"),
        (f"multipart/form-data; boundary={'b' * 5000}", "Content-Type"),
    ],
)
def test_what_is_not_a_form_with_its_boundary_is_malformed(gateway: Gateway, content_type: str, said: str) -> None:
    response = gateway.post(form(part()), content_type=content_type)
    assert said in assert_problem(response, 400, "malformed_request")["detail"]
    assert gateway.processor.images == []


def test_a_request_without_a_body_says_what_to_send(gateway: Gateway) -> None:
    assert "-F image=@" in assert_problem(gateway.request("POST", "/intensity"), 400, "missing_image")["detail"]


LUMA = part(b"BT.709", name="luma", filename=None)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (GARBAGE, "malformed_request", ""),
        (b"\0" * 1000, "malformed_request", ""),
        (b"--boundary", "malformed_request", ""),
        (b"--boundary\r\n" + GARBAGE, "malformed_request", ""),
        (b"--boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--boundary--\r\n", "malformed_request", ""),
        (b"--boundary\r\nX-Nothing: here\r\n\r\nx\r\n--boundary--\r\n", "malformed_request", ""),
        (b"--boundary\r\n\xff\xfe: x\r\n\r\nx\r\n--boundary--\r\n", "malformed_request", ""),
        (form(part()).replace(b"\r\n", b"\n"), "malformed_request", ""),
        (b"--boundary\r\nX: " + b"x" * 4_000_000 + b"\r\n" + form(part())[12:], "malformed_request", ""),
        (b"".join(part(b"", name="field", filename=None) for _ in range(2000)) + form(), "malformed_request", ""),
        (sent('form-data; name="image";\r\n filename="a.png"'), "malformed_request", "second line"),
        (sent('form-data; name="image";\r\n\tfilename="a.png"'), "malformed_request", "second line"),
        (b"preamble\r\n" + form(part()), "malformed_request", "boundary line"),
        (b"--other\r\n" + form(part()), "malformed_request", "boundary line"),
        (form(part()).replace(b"boundary\r", b"boundary \r"), "malformed_request", "boundary line"),
        (form(), "missing_image", ""),
        (form(part(name="file")), "missing_image", "no field image, only file"),
        (form(part(b"photo.png", filename=None)), "missing_image", ""),
        (form(part(b"", filename=None)), "missing_image", ""),
        (form(part(b"x" * 100_000, filename=None)), "missing_image", ""),
        # A file that was not chosen.
        (form(part(b"", filename="")), "missing_image", ""),
        (form(part(filename="")), "missing_image", ""),
        (form(part(b"")), "empty_file", ""),
        (form(part(), LUMA), "malformed_request", "luma"),
        (form(LUMA, part()), "malformed_request", "luma"),
        (form(part(), part(b"", name="", filename=None)), "malformed_request", ""),
        (form(part(), part(b"x", name="lümä", filename=None)), "malformed_request", "lümä"),
        (form(part(), part()), "malformed_request", ""),
        (form(part(), part(filename="")), "malformed_request", ""),
        (form(part(), part(b"text", filename=None)), "malformed_request", ""),
        (form(part(b"text", filename=None), part()), "malformed_request", ""),
    ],
)
def test_what_is_not_the_form_of_the_api_has_its_problem(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, body: bytes, code: str, said: str
) -> None:
    assert said in assert_problem(gateway.post(body), 400, code)["detail"]
    assert gateway.processor.images == []
    # The parser's own warning, which no setting of ours bounds and which is no JSON, would be on standard error.
    assert {record.name for record in caplog.records} == {"image-intensity"}


def test_a_body_cut_anywhere_before_the_end_of_its_closing_boundary_is_malformed(gateway: Gateway) -> None:
    whole = form(part()).removesuffix(b"\r\n")
    for length in range(len(whole)):
        assert_problem(gateway.post(whole[:length]), 400, "malformed_request")
    assert gateway.processor.images == []


@pytest.mark.parametrize("option", ["luma", "alpha", "region", "detail"])
def test_an_option_in_a_form_is_sent_into_the_query(gateway: Gateway, option: str) -> None:
    response = gateway.post(form(part(), part("b ä&".encode(), name=option, filename=None)))
    detail = assert_problem(response, 400, "malformed_request")["detail"]
    assert detail.endswith(f"Options go into the query: /intensity?{option}=b+%C3%A4%26")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("color=bt709", "color"),
        ("luma=bt2020", "luma"),
        ("detail", "detail"),
        ("%E5%86%99=1", "写"),
        ("%ff%00&%zz=1", "%zz"),
        ("a=1&b=2", "a, b"),
    ],
)
def test_a_query_parameter_that_is_not_known_is_refused_by_its_name(gateway: Gateway, query: str, named: str) -> None:
    answer = gateway.converse(chunks(form(part())), query_string=query.encode())
    assert named in assert_problem(answer, 400, "malformed_request")["detail"]


# Python knows codecs of these names, but no form is written in them. Python cannot even look up the last one.
@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "undefined", "utf-7", "idna", "a\0b"])
@pytest.mark.parametrize("names", [{"name": r"\ud800+2AA-", "filename": None}, {"filename": r"\ud800+2AA-.png"}])
def test_half_a_character_in_a_name_is_no_fault(gateway: Gateway, charset: str, names: dict[str, Any]) -> None:
    answer = gateway.converse(chunks(form(part(**names))), {"content-type": f"{CONTENT_TYPE}; charset={charset}"})
    assert answer.status_code in {200, 400}
    assert answer.json()["request_id"]


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
        *(
            (f'form-data; name="image"; filename="{name}"', name)
            for name in ("naïve ☃ 写真.png", "a b;c=d,e.png", "../../etc/passwd", "%00%ff.png", "x" * 300, ".")
        ),
    ],
)
def test_a_file_name_comes_back_as_it_was_sent(gateway: Gateway, disposition: str, name: str) -> None:
    answer = gateway.post(sent(disposition))
    assert (answer.status_code, answer.json()["filename"]) == (200, name)
    assert gateway.processor.images == [IMAGE]


def test_a_file_name_that_is_not_utf8_is_answered(gateway: Gateway) -> None:
    body = form(part(filename="na@ve.png").replace(b"@", b"\xef"))
    assert gateway.post(body).json()["filename"] == "naïve.png"


@pytest.mark.parametrize("body", [form(part()) + b"epilogue", b"\r\n" + form(part())])
@pytest.mark.parametrize("content_type", [CONTENT_TYPE, 'Multipart/Form-Data; boundary="boundary"'])
def test_what_mime_allows_around_a_form_is_read_however_it_arrives(
    gateway: Gateway, body: bytes, content_type: str
) -> None:
    assert gateway.post(body, content_type=content_type).status_code == 200
    answer = gateway.converse(chunks(*(body[at : at + 1] for at in range(len(body)))), {"content-type": content_type})
    assert (answer.status_code, gateway.processor.images) == (200, [IMAGE])


@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes])
@pytest.mark.parametrize("named", ["base64", "BASE64 "])
def test_a_file_in_base64_is_measured_as_itself(gateway: Gateway, encode: Callable[[bytes], bytes], named: str) -> None:
    body = sent('form-data; name="image"; filename="a.png"', encode(IMAGE), f"Content-Transfer-Encoding: {named}\r\n")
    assert gateway.post(body).json()["image_size_bytes"] == len(IMAGE)
    assert gateway.processor.images == [IMAGE]


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("binary", IMAGE, 200),
        ("8bit", IMAGE, 200),
        ("7BIT", IMAGE, 200),
        ("quoted-printable", b"=89PNG", 415),
        ("x-uuencode", b"begin", 415),
        ("base64", b"\x89PNG", 400),
    ],
)
def test_another_encoding_is_named_and_the_image_is_not_blamed(
    gateway: Gateway, encoding: str, content: bytes, status: int
) -> None:
    header = f"Content-Transfer-Encoding: {encoding}"
    response = gateway.post(sent('form-data; name="image"; filename="a.png"', content, f"{header}\r\n"))
    if status == 200:
        assert response.status_code == 200
    else:
        problem = assert_problem(response, status, {415: "unsupported_encoding", 400: "malformed_request"}[status])
        assert header in problem["detail"]
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


# All examples use the one gateway of the fixture, which is intended.
ANY_EXAMPLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.sampled_from(
    [b"--", BOUNDARY, b"\r\n", b'Content-Disposition: form-data; name="image"', b'; filename="', b'"']
)


@settings(ANY_EXAMPLE, max_examples=30)
@given(st.integers(0, 200_000), st.lists(st.integers(0, 200_000), max_size=6))
def test_a_file_is_the_same_however_it_is_cut(gateway: Gateway, size: int, cuts: list[int]) -> None:
    content = b"x" + bytes(number % 251 for number in range(size))
    body = form(part(content))
    places = sorted({min(cut, len(body)) for cut in cuts})
    pieces = [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
    gateway.redis.flushall()
    gateway.processor.invocations.clear()
    assert gateway.converse(chunks(*pieces)).status_code == 200
    assert gateway.processor.images == [content]


@ANY_EXAMPLE
@given(st.lists(PIECES | st.binary(max_size=4), max_size=12).map(b"".join))
def test_no_body_is_a_fault(gateway: Gateway, body: bytes) -> None:
    assert gateway.converse(chunks(body)).status_code in {200, 400}


@ANY_EXAMPLE
@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30))
def test_no_content_type_is_a_fault(gateway: Gateway, parameter: str) -> None:
    headers = {"content-type": f"{CONTENT_TYPE}; {parameter}".encode("latin-1")}
    assert gateway.converse(chunks(form(part())), headers).status_code in {200, 400}


def test_the_name_is_found_in_time_that_grows_with_the_header_alone() -> None:
    """The parser takes at most 4 KB of a header."""
    for hostile in (b"; filename*" * 370, b"; filename*=" + b"a" * 4000, b";" + b" " * 4000, b"; filename*=a'" * 290):
        assert with_plain_name(hostile) == hostile
    assert Form.spool_max_size == 0
