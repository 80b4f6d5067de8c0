"""WebP: its structure, and how it is decoded. Here is what needs no decoder."""

SIGNATURE = {0: b"RIFF", 8: b"WEBP"}
