"""The pixels of a JPEG whose structure has been read.

libjpeg treats damage as a warning, fills the gap with gray and goes on, and Pillow does not pass the warning on. So
`simplejpeg` decodes: libjpeg-turbo like Pillow's, to the same pixels, with warnings as errors. After what `structure`
leaves out and mends, every warning is damage: data that ends early or too late, codes that do not exist, scans that
contradict each other. Samplings that `simplejpeg` does not take go to `kornia_rs`, which is libjpeg-turbo with warnings
as errors, too. CMYK goes to Pillow after a check. Some damage leaves valid codes behind, such as a flipped bit. It
changes pixels and no decoder notices, because JPEG has no checksum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from kornia_rs import io as rust

from image_intensity.errors import CorruptImage
from image_intensity.formats.jpeg.completeness import has_all_scans
from image_intensity.formats.jpeg.padding import checked_by_padding, padded
from image_intensity.formats.jpeg.picture import corrupt, damage
from image_intensity.pixels import Pixels, from_image, from_samples, lend, load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from image_intensity.formats.jpeg.picture import Jpeg
    from image_intensity.options import Region

# Number of components -> `simplejpeg`'s name for the decoded samples, samples for each pixel, and Pillow's mode.
DECODED = {1: ("GRAY", 1, "L"), 3: ("RGBX", 4, "RGB")}
# TurboJPEG's message for samplings that it does not take.
UNKNOWN_SAMPLING = "subsampling"


def decode(picture: Jpeg, region: Region | None = None) -> Pixels:
    """Return the pixels, or those of a region. Raises CorruptImage unless every coefficient is there and decodes.

    Raises UnsupportedFormat for a CMYK picture that takes too much work to check (see `padding`).
    """
    if not has_all_scans(picture):
        corrupt("some of its scans are missing")
    colors = len(picture.sampling) in DECODED
    try:
        return turbo_pixels(picture, region) if colors else cmyk_pixels(picture, region)
    except ValueError as error:
        if UNKNOWN_SAMPLING not in str(error):
            raise damage(error) from error
    return unusual_pixels(picture, region) if colors else checked_by_padding(picture, region)


def turbo_pixels(picture: Jpeg, region: Region | None) -> Pixels:
    """Return the pixels of a gray or color picture. Raises ValueError for damage and unknown samplings."""
    width, height = picture.size
    colorspace, channels, mode = DECODED[len(picture.sampling)]
    memory = lend(width * height * channels)
    samples = simplejpeg.decode_jpeg(picture.essentials, colorspace, buffer=memory, strict=True)
    return from_samples(samples, mode, memory, region)


def cmyk_pixels(picture: Jpeg, region: Region | None) -> Pixels:
    """Return the pixels of a CMYK picture. Raises ValueError for damage and unknown samplings.

    libjpeg converts CMYK to nothing but CMYK, and only Pillow converts it as Pillow does. So it is decoded twice, the
    first time to an eighth of its size.
    """
    simplejpeg.decode_jpeg(picture.essentials, "CMYK", min_height=1, min_width=1, min_factor=8, strict=True)
    return from_image(load(padded(picture, b""), "JPEG"), region)


def unusual_pixels(picture: Jpeg, region: Region | None) -> Pixels:
    """Return the pixels of a color picture with a sampling that `simplejpeg` does not take. Raises CorruptImage."""
    width, height = picture.size
    # Rust would panic without memory; NumPy raises MemoryError.
    np.empty((height, width, 3), np.uint8)
    try:
        samples: NDArray[np.uint8] = rust.decode_image_jpegturbo(bytes(picture.essentials), "rgb")
    except Exception as error:
        # It does not pass on libjpeg's warning.
        if type(error) is not Exception:
            raise
        raise CorruptImage("This JPEG is damaged: its coded data is not valid.") from error
    return from_samples(samples, "RGB", region=region)
