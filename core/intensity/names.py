r"""Names of files as text: one line each, harmless in terminals and spreadsheets, and exact when read back.

A name in the file system is a row of bytes. Most are written as they are. Otherwise, a backslash is written as `\\`, a
line feed as `\n`, a carriage return as `\r`, a tab as `\t`; any other control character, and a byte that is not UTF-8,
as `\xNN`. So is a first character that would make a cell a formula or open a quotation.
"""

from __future__ import annotations

import re

# Spreadsheets see these as the start of a formula (also the wide forms) or of a quotation.
FIRST = '=+\\-@\uff1d\uff0b\uff0d\uff20"'
# Control characters, two separators that end a line in some programs, and bytes that are not UTF-8.
SPECIAL = re.compile(f"^[{FIRST}]|[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
ESCAPE = re.compile(rb"\\(?:([\\nrt])|x([0-9a-f]{2})|)")
MEANING = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def written(name: bytes) -> str:
    """Return `name` as the column `path` has it."""
    return SPECIAL.sub(_escaped, name.decode("utf-8", "surrogateescape"))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    encoded = character.encode("utf-8", "surrogateescape")
    return SHORT.get(character) or "".join(f"\\x{byte:02x}" for byte in encoded)


def read(path: str) -> bytes:
    """Return the name that `written` wrote. Raises ValueError for a backslash that begins none of its escapes."""
    return ESCAPE.sub(_meant, path.encode())


def _meant(found: re.Match[bytes]) -> bytes:
    if found[2]:
        return bytes.fromhex(found[2].decode())
    if not found[1]:
        raise ValueError("a backslash in this path begins no escape")
    return MEANING[found[1]]
