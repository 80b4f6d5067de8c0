"""JPEG: its structure, whether it is complete, and how it is decoded. Here is what needs no decoder."""

SIGNATURE = b"\xff\xd8\xff"
