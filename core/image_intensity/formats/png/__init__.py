"""PNG: its structure, its rows and how they are decoded. Here is what needs no decoder."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
