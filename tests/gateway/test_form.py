"""Bodies that are not a form, or not the form of the API: each has its problem, and no image is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.driver import BOUNDARY, CONTENT_TYPE, IMAGE, Gateway, assert_problem, chunks, form, part

if TYPE_CHECKING:
    from collections.abc import Iterator

GARBAGE = bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def _nothing_is_measured(gateway: Gateway) -> Iterator[None]:
    yield
    assert gateway.processor.images == []


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "image/gif",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=boundary",
        "multipart/form-dataX; boundary=boundary",
        "",
        ";",
    ],
)
def test_what_is_not_a_multipart_form_is_malformed(gateway: Gateway, content_type: str) -> None:
    response = gateway.post(form(part()), content_type=content_type)
    detail = assert_problem(response, 400, "malformed_request")["detail"]
    assert "multipart/form-data" in detail


def test_a_request_without_a_body_says_what_to_send(gateway: Gateway) -> None:
    assert "-F image=@" in assert_problem(gateway.request("POST", "/intensity"), 400, "missing_image")["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="',
        "multipart/form-data; charset=utf-8",
        "multipart/form-data; boundary=another",
        f"multipart/form-data; boundary={'b' * 5000}",
    ],
)
def test_a_form_without_its_boundary_is_malformed(gateway: Gateway, content_type: str) -> None:
    assert_problem(gateway.post(form(part()), content_type=content_type), 400, "malformed_request")


@pytest.mark.parametrize(
    "body",
    [
        GARBAGE,
        b"\0" * 1000,
        b"--boundary",
        b"--boundary\r\n" + GARBAGE,
        b"--boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--boundary--\r\n",
        b"--boundary\r\nX-Nothing: here\r\n\r\nx\r\n--boundary--\r\n",
        b"--boundary\r\n\xff\xfe: x\r\n\r\nx\r\n--boundary--\r\n",
        form(part()).replace(b"\r\n", b"\n"),
        b"--boundary\r\nX: " + b"x" * 4_000_000 + b"\r\n" + form(part())[12:],
        b"".join(part(b"", name="field", filename=None) for _ in range(2000)) + form(),
    ],
)
def test_garbage_in_place_of_a_form_is_malformed(gateway: Gateway, body: bytes) -> None:
    assert_problem(gateway.post(body), 400, "malformed_request")


def test_a_body_cut_anywhere_before_the_end_of_its_closing_boundary_is_malformed(gateway: Gateway) -> None:
    whole = form(part()).removesuffix(b"\r\n")
    for length in range(len(whole)):
        assert_problem(gateway.post(whole[:length]), 400, "malformed_request")


def test_an_empty_form_has_no_image(gateway: Gateway) -> None:
    assert_problem(gateway.post(form()), 400, "missing_image")


def test_a_file_in_another_field_is_no_image_and_the_answer_names_that_field(gateway: Gateway) -> None:
    problem = assert_problem(gateway.post(form(part(name="file"))), 400, "missing_image")
    assert "image" in problem["detail"]
    assert "file" in problem["detail"]


@pytest.mark.parametrize("text", [b"photo.png", b"", b"x" * 100_000])
def test_a_text_field_named_image_is_no_image(gateway: Gateway, text: bytes) -> None:
    assert_problem(gateway.post(form(part(text, filename=None))), 400, "missing_image")


@pytest.mark.parametrize("content", [b"", IMAGE])
def test_an_empty_file_name_is_a_file_that_was_not_chosen(gateway: Gateway, content: bytes) -> None:
    assert_problem(gateway.post(form(part(content, filename=""))), 400, "missing_image")


def test_an_empty_file_is_empty(gateway: Gateway) -> None:
    assert_problem(gateway.upload(b""), 400, "empty_file")


@pytest.mark.parametrize(
    "parts",
    [
        [part(), part(b"BT.709", name="luma", filename=None)],
        [part(b"BT.709", name="luma", filename=None), part()],
        [part(), part(b"", name="", filename=None)],
    ],
)
def test_a_field_that_is_not_known_is_refused_wherever_it_stands(gateway: Gateway, parts: list[bytes]) -> None:
    assert_problem(gateway.post(form(*parts)), 400, "malformed_request")


def test_the_answer_names_the_field_that_is_not_known(gateway: Gateway) -> None:
    response = gateway.post(form(part(), part(b"x", name="lümä", filename=None)))
    assert "lümä" in assert_problem(response, 400, "malformed_request")["detail"]


@pytest.mark.parametrize("option", ["luma", "alpha", "region", "detail"])
def test_an_option_in_a_form_is_sent_into_the_query(gateway: Gateway, option: str) -> None:
    response = gateway.post(form(part(), part("b ä&".encode(), name=option, filename=None)))
    detail = assert_problem(response, 400, "malformed_request")["detail"]
    assert detail.endswith(f"Options go into the query: /intensity?{option}=b+%C3%A4%26")


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "undefined"])
def test_half_a_character_in_the_name_of_a_field_is_no_fault(gateway: Gateway, charset: str) -> None:
    body = form(part(name=r"\ud800+2AA-", filename=None))
    answer = gateway.converse(chunks(body), {"content-type": f"{CONTENT_TYPE}; charset={charset}"})
    assert answer.status == 400
    assert answer.json()["code"] in {"malformed_request", "missing_image"}


@pytest.mark.parametrize(
    "parts",
    [
        [part(), part()],
        [part(), part(filename="")],
        [part(), part(b"text", filename=None)],
        [part(b"text", filename=None), part()],
    ],
)
def test_two_images_are_refused(gateway: Gateway, parts: list[bytes]) -> None:
    assert_problem(gateway.post(form(*parts)), 400, "malformed_request")


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


# All examples use the one gateway of the fixture, which is intended.
ANY_EXAMPLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.sampled_from(
    [b"--", BOUNDARY, b"\r\n", b'Content-Disposition: form-data; name="image"', b'; filename="', b'"']
)


@ANY_EXAMPLE
@given(st.lists(PIECES | st.binary(max_size=4), max_size=12).map(b"".join))
def test_no_body_is_a_fault(gateway: Gateway, body: bytes) -> None:
    answer = gateway.converse(chunks(body))
    gateway.processor.invocations.clear()
    assert answer.status in {200, 400}


@ANY_EXAMPLE
@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30))
def test_no_content_type_is_a_fault(gateway: Gateway, parameter: str) -> None:
    answer = gateway.converse(chunks(form(part())), {"content-type": f"{CONTENT_TYPE}; {parameter}".encode("latin-1")})
    gateway.processor.invocations.clear()
    assert answer.status in {200, 400}
