"""JPEG: its structure, whether it is complete, and how it is decoded."""

from image_intensity.formats.jpeg.decoding import decode
from image_intensity.formats.jpeg.picture import SIGNATURE, Jpeg
from image_intensity.formats.jpeg.structure import read

__all__ = ["SIGNATURE", "Jpeg", "decode", "read"]
