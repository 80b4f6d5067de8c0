"""Small images of one gray value."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from PIL import Image


@cache
def png(value: int, size: tuple[int, int] = (4, 3)) -> bytes:
    """A PNG whose average intensity is `value`."""
    data = BytesIO()
    Image.new("L", size, value).save(data, "PNG")
    return data.getvalue()
