"""Real TIFFs, and real pictures in many settings of TIFF, are measured exactly; what is refused is listed here."""

from __future__ import annotations

import io
import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_intensity import MeasurementError, detect
from tests.attack.judges import pillow
from tests.bench.images import CORPUS
from tests.core.images import encode, mean
from tests.core.samples import MAX_PIXELS, measured
from tests.support import missing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Files that Pillow reads, and that we call damaged.
REFUSED = {
    "10ct_32bit_128.tiff": "no photometric interpretation",
    "crash-0da013a13571cc8eb457a39fee8db18f8a3c7127.tif": "tags out of order",
    "crash-74d2a78403a5a59db1fb0a2b8735ac068a75f6e3.tif": "tags out of order",
    "multipage_multiple_frame_loop.tiff": "pages in a circle",
    "multipage_single_frame_loop.tiff": "pages in a circle",
    "ojpeg_single_strip_no_rowsperstrip.tiff": "old-style JPEG, tags out of order",
    "old-style-jpeg-compression-no-samplesperpixel.tif": "old-style JPEG, tags out of order",
    "test_ifd_loop_to_first.tif": "pages in a circle",
    "test_ifd_loop_to_self.tif": "pages in a circle",
    "tiff_wrong_bits_per_sample.tiff": "more samples than it describes",
    "tiff_wrong_bits_per_sample_2.tiff": "more depths than samples",
    "tiff_wrong_bits_per_sample_3.tiff": "more samples than it describes",
}
# Pillow does not read the first one, and takes 12 bits for 16: what the samples are, by tifffile with imagecodecs.
TWELVE_BITS = {"input_gray_12bit.tiff": 105.0979273314677, "12bit.cropped.tif": 0.16116996336996336}
MOST_BYTES, LEAST_FILES = 5_000_000, 90
PICTURES, SIDE = 12, 400


def files() -> list[Path]:
    found = sorted(file for file in CORPUS.rglob("*") if file.is_file() and not file.is_symlink())
    if not found:
        missing(f"a corpus of real images in {CORPUS.name} (make corpus)")
    return [file for file in found if file.stat().st_size <= MOST_BYTES]


def test_every_real_tiff_is_exact_or_its_refusal_is_listed() -> None:
    wrong, measured_files = [], 0
    for file in files():
        data = file.read_bytes()
        if detect(data) != "TIFF":
            continue
        expected = TWELVE_BITS.get(file.name) or pillow(data, MAX_PIXELS)
        try:
            average = measured(data).average_intensity
        except MeasurementError as problem:
            if expected is not None and problem.code != "unsupported_format" and file.name not in REFUSED:
                wrong.append(f"{file}: {problem}")
            continue
        measured_files += 1
        if average != expected or file.name in REFUSED:
            wrong.append(f"{file}: {average}, not {expected}")
    assert wrong == []
    assert measured_files >= LEAST_FILES


@cache
def pictures() -> list[Image.Image]:
    """Real pictures in color, or their upper left part."""
    found: list[Image.Image] = []
    for file in files():
        if len(found) == PICTURES:
            break
        if file.suffix in {".png", ".jpg"} and file.stat().st_size < MOST_BYTES // 10 and pillow(file.read_bytes()):
            with Image.open(file) as image:
                if image.mode == "RGB" and min(image.size) > SIDE // 4:
                    found.append(image.crop((0, 0, min(SIDE, image.width), min(SIDE, image.height))))
    assert len(found) == PICTURES
    return found


def by_tifffile(samples: NDArray[np.integer], **options: Any) -> bytes:  # noqa: ANN401 - tifffile's
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


SETTINGS: dict[str, Any] = {
    f"Pillow, {mode}, {compression}, predictor {predictor}": (mode, compression, predictor)
    for mode, compression, predictor in [
        *itertools.product(["RGB", "L", "CMYK"], ["tiff_lzw", "tiff_adobe_deflate"], [1, 2]),
        *itertools.product(["P", "1"], ["tiff_lzw", "tiff_adobe_deflate", "packbits"], [1]),
        ("RGB", "packbits", 1),
        ("RGB", "jpeg", 1),
        ("L", "jpeg", 1),
    ]
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_real_pictures_as_pillow_writes_them(setting: str) -> None:
    mode, compression, predictor = SETTINGS[setting]
    for picture in pictures():
        image = picture.convert(mode)
        data = encode(image, "TIFF", compression=compression, strip_size=30_000, tiffinfo={317: predictor})
        assert measured(data).average_intensity == pillow(data)
        if compression != "jpeg":
            assert pillow(data) == mean(np.asarray(image.convert("L")))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("parts", [{"rowsperstrip": 50}, {"tile": (64, 128)}, {"bigtiff": True}])
def test_real_pictures_as_tifffile_writes_them(parts: dict[str, Any], order: str, compression: str | None) -> None:
    for picture in pictures():
        colors = np.asarray(picture)
        options = {"compression": compression, "byteorder": order, **parts}
        expected = mean(np.asarray(picture.convert("L")))
        assert measured(by_tifffile(colors, photometric="rgb", **options)).average_intensity == expected
        deep = colors[..., 0].astype(np.uint16) * 256 + colors[..., 1]
        assert measured(by_tifffile(deep, **options)).average_intensity == mean(deep, 65535)
