"""PNG: its structure, its rows and how they are decoded."""

from image_intensity.formats.png.decoding import decode
from image_intensity.formats.png.structure import SIGNATURE, Png, read

__all__ = ["SIGNATURE", "Png", "decode", "read"]
