"""TIFF: its structure, its strips and tiles, and how they are decoded. Here is what needs no decoder."""

# Byte order and version. The second pair is BigTIFF.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
