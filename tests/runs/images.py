"""Small images of one gray value."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from PIL import Image


@cache
def gray(value: int, size: tuple[int, int] = (4, 3), form: str = "PNG") -> bytes:
    """An image whose average intensity is `value`."""
    data = BytesIO()
    Image.new("L", size, value).save(data, form, lossless=True)
    return data.getvalue()
