"""The form reader beside Starlette's, which it replaces: the same parts, the same refusals, however a body arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.http.form import BLOCK_BYTES, SMALL_BYTES, Form, FormError
from tests.gateway.driver import BOUNDARY, CONTENT_TYPE, form, part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

Parts = list[tuple[str, str | None, bytes | None]]
PIECES = st.sampled_from(
    [
        *(b"--", BOUNDARY, b"--" + BOUNDARY, b"\r\n", b"\r", b"\n", b":", b'"', b";", b"\\", b"*=", b"name=", b" "),
        b'Content-Disposition: form-data; name="image"; filename="photo.png"\r\n\r\n',
        b'Content-Disposition: form-data; name="image"\r\n\r\n',
        b"Content-Disposition: form-data; name*=UTF-8''image; filename*=UTF-8''%61\r\n\r\n",
        part(),
        part(filename=None),
        b"\r\n--" + BOUNDARY + b"--\r\n",
    ]
)
BODIES = st.lists(PIECES | st.binary(max_size=6), max_size=14).map(b"".join)
WHOLE = st.lists(PIECES | st.binary(max_size=6), max_size=8).map(lambda pieces: form(part(b"".join(pieces))))
TYPES = st.sampled_from(
    [
        CONTENT_TYPE,
        f'{CONTENT_TYPE}; charset="latin-1"',
        *(f"{CONTENT_TYPE}; charset={name}" for name in ("utf-16", "ascii", "undefined", "unicode_escape", "x\0", "?")),
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'b' * 5000}",
    ]
)


async def arriving(body: bytes, cuts: list[int]) -> AsyncGenerator[bytes, None]:
    """The body, cut at these places."""
    places = sorted({min(cut, len(body)) for cut in cuts})
    for begin, end in zip([0, *places], [*places, len(body)], strict=True):
        yield body[begin:end]


async def by_starlette(content_type: str, body: bytes, cuts: list[int]) -> Parts | str:
    """The parts, with the content of files, or why there are none."""
    parser = MultiPartParser(Headers({"content-type": content_type}), arriving(body, cuts), max_files=1)
    ended = False

    def on_end() -> None:
        nonlocal ended
        ended = True

    parser.on_end = on_end  # type: ignore[method-assign]
    try:
        sent = await parser.parse()
    except MultiPartException as error:
        return error.message
    except ValueError:
        return "no text"
    parts: Parts = [
        (name, value.filename, await value.read()) if isinstance(value, UploadFile) else (name, None, None)
        for name, value in sent.multi_items()
    ]
    # A file whose part has no end is in no item.
    for file in parser._files_to_close_on_error:  # noqa: SLF001 - there is no public way to it
        file.close()
    return parts if ended else "Its closing boundary is missing."


async def by_us(content_type: str, body: bytes, cuts: list[int]) -> Parts | str:
    try:
        parts = await Form(content_type).read(arriving(body, cuts))
    except FormError as error:
        return str(error)
    except ValueError:
        return "no text"
    return [
        (each.name, each.filename, bytes(each.content)) if each.filename is not None else (each.name, None, None)
        for each in parts
    ]


@settings(max_examples=600, deadline=None)
@given(TYPES, BODIES | WHOLE, st.lists(st.integers(0, 400), max_size=5))
def test_every_body_is_read_or_refused_as_starlette_does(content_type: str, body: bytes, cuts: list[int]) -> None:
    ours = asyncio.run(by_us(content_type, body, cuts))
    assert ours == asyncio.run(by_starlette(content_type, body, cuts))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * BLOCK_BYTES), st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=6))
def test_a_file_is_the_same_however_it_is_cut(size: int, cuts: list[int]) -> None:
    content = bytes(number % 251 for number in range(size))
    assert asyncio.run(by_us(CONTENT_TYPE, form(part(content)), cuts)) == [("image", "photo.png", content)]


def test_a_malformed_form_is_not_logged_by_the_parser(caplog: pytest.LogCaptureFixture) -> None:
    """A line for each, which no setting of ours bounds and which is no JSON, would be on standard error."""
    assert isinstance(asyncio.run(by_us(CONTENT_TYPE, b"--another\r\n", [])), str)
    assert caplog.records == []


def test_single_bytes_take_no_object_each() -> None:
    body = form(part(bytes(3 * BLOCK_BYTES)))

    async def pieces() -> int:
        [each] = await Form(CONTENT_TYPE).read(arriving(body, list(range(len(body)))))
        assert bytes(each.content) == bytes(3 * BLOCK_BYTES)
        return len(each.pieces)

    assert asyncio.run(pieces()) <= 4
    assert SMALL_BYTES < BLOCK_BYTES
