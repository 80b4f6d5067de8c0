"""The pixels of a PNG whose structure has been read.

Rust's `png` crate (in `kornia_rs`) decodes pictures with 8 bits per sample, in a third of Pillow's time. It does not
compare the checksum of the rows, so ISA-L inflates and counts them first. Pillow decodes the rest: palettes, gray with
alpha, other depths. It leaves missing rows black without an error, so it gets rows that are counted on their way (see
`rows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from kornia_rs import io as rust

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.png.rows import inflated_rows, restored
from image_intensity.formats.png.structure import SAMPLES, SIGNATURE
from image_intensity.pixels import Pixels, from_image, from_samples, load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from image_intensity.formats.png.structure import Png

# The last chunk, which is empty.
IEND = b"\0\0\0\0IEND\xaeB`\x82"
# Bit depth and color type of what `kornia_rs` decodes to the samples that Pillow has -> their modes there and there.
RUST_MODES = {(8, 0): ("mono", "L"), (8, 2): ("rgb", "RGB"), (8, 6): ("rgba", "RGBA")}
# Pillow counts the bits of a row in an int, filled up to whole bytes. So the two rows that it unpacks at a time take at
# most 537 MB.
ROW_BITS = 2**31 - 1 - 7 * 64


def decode(picture: Png) -> Pixels:
    """Return the pixels.

    Raises CorruptImage when the data is damaged or rows are missing; UnsupportedFormat when a row
    is too long for Pillow.
    """
    if picture.size[0] * SAMPLES[picture.color_type] * picture.bit_depth > ROW_BITS:
        raise UnsupportedFormat("The rows of this PNG are too long to be measured.")
    if (picture.bit_depth, picture.color_type) in RUST_MODES:
        rust_mode, mode = RUST_MODES[picture.bit_depth, picture.color_type]
        samples = rust_samples(picture, rust_mode)
        if samples is not None:
            return from_samples(samples, mode)
    return from_image(load(restored(SIGNATURE + picture.head, picture.deflated(), picture.row_bytes), "PNG"))


def rust_samples(picture: Png, mode: str) -> NDArray[np.uint8] | None:
    """Return the samples, shape (height, width, channels), or None: what is wrong with them is for Pillow to say.

    Raises CorruptImage when the data is damaged or rows are missing.
    """
    for _ in inflated_rows(picture.deflated(), picture.row_bytes):
        pass
    width, height = picture.size
    # Without memory it would panic, or hang on the way there, where NumPy raises MemoryError.
    np.empty((height, width, SAMPLES[picture.color_type]), np.uint8)
    essentials = b"".join([SIGNATURE, picture.head, *picture.data, IEND])
    try:
        samples: NDArray[np.uint8] = rust.decode_image_png_u8(essentials, (height, width), mode)
    except BaseException as error:
        # Of a damaged file it raises Exception itself; a panic of Rust is none, so that few would catch it.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        return None
    return samples
