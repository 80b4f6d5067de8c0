"""The column `path`: one line, no formula, and exact to read back."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intensity.lines import csv_line
from intensity.names import read, written
from tests.cli.command import csv_rows

NAMES = st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode(errors="surrogatepass"))


@given(NAMES)
def test_every_name_is_one_harmless_line_and_read_back_exactly(name: bytes) -> None:
    text = written(name)
    assert read(text) == name
    assert len(text.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)
    assert text.encode().decode() == text
    full_width = ("\uff1d", "\uff0b", "\uff0d", "\uff20")
    assert not text.startswith(("=", "+", "-", "@", *full_width, '"', "\t", "\r"))
    (row,) = csv_rows("path,code\n" + csv_line([text, ""]))
    assert row == {"path": text, "code": ""}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Übersicht (2) Kopie.png".encode(), "Übersicht (2) Kopie.png"),
        (b"=1+1.png", r"\x3d1+1.png"),
        (b"a-b=c.png", "a-b=c.png"),
        (b"back\\slash\nline\r\t.png", r"back\\slash\nline\r\t.png"),
        (b"caf\xe9.png", r"caf\xe9.png"),
        (b"\x1b[31mred\x7f.png", r"\x1b[31mred\x7f.png"),
        ("next\u0085line\u2028.png".encode(), r"next\xc2\x85line\xe2\x80\xa8.png"),
    ],
)
def test_only_what_could_do_harm_is_escaped(name: bytes, text: str) -> None:
    assert written(name) == text


def test_printf_reads_a_path_back_as_the_manual_says() -> None:
    name = b"caf\xe9 \\ =\n\t1.png"
    result = subprocess.run(["bash", "-c", 'printf %b "$0"', written(name)], capture_output=True, check=True)
    assert result.stdout == name


@pytest.mark.parametrize("path", ["\\", "\\x", "\\xg0", "a\\b", "\\x4"])
def test_what_is_no_escape_is_an_error(path: str) -> None:
    with pytest.raises(ValueError, match="backslash"):
        read(path)
