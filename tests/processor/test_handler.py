"""The Lambda entry point: an event in, a measurement or a problem as data out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from contract.invocation import Invocation
from image_intensity import Options
from processor import handler
from tests.core.images import encode, noise

PNG = encode(noise("RGB", (9, 7)), "PNG")
EVENT = Invocation(image=PNG, allowed_formats=("PNG", "JPEG"), max_pixels=63).to_event()
# What Pillow decodes.
PALETTE_EVENT = Invocation(image=encode(noise("P", (9, 7)), "PNG"), allowed_formats=("PNG",), max_pixels=63).to_event()


def answer_to(event: dict[str, Any]) -> dict[str, Any]:
    """Send the event, and both ways as JSON, as Lambda does."""
    answer: dict[str, Any] = json.loads(json.dumps(handler.lambda_handler(json.loads(json.dumps(event)), None)))
    return answer


def test_an_image_is_answered_by_its_measurement() -> None:
    answer = answer_to(EVENT)

    assert answer.keys() == {"measurement"}
    intensity = answer["measurement"].pop("average_intensity")
    assert 0 < intensity < 255
    for name in ("statistics", "histogram", "decoders"):
        assert answer["measurement"].pop(name)
    assert answer["measurement"] == {
        "image_format": "PNG",
        "image_size": [9, 7],
        "original_mode": "RGB",
        "pixel_count": 63,
        "image_size_bytes": len(PNG),
        "options": Options().to_json(),
        "stored_bit_depth": 8,
        "bit_depth": 8,
        "frames": 1,
        "algorithm": "5",
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"image": ""}, "empty_file"),
        ({"allowed_formats": ["JPEG"]}, "unsupported_format"),
        ({"max_pixels": 62}, "too_many_pixels"),
        ({"image": EVENT["image"][:40]}, "corrupt_image"),
    ],
)
def test_an_image_that_cannot_be_measured_is_answered_by_the_problem(change: dict[str, Any], code: str) -> None:
    answer = answer_to(EVENT | change)

    assert answer.keys() == {"problem"}
    assert answer["problem"].keys() == {"code", "detail"}
    assert answer["problem"]["code"] == code
    assert answer["problem"]["detail"].endswith(".")


@pytest.mark.parametrize("missing", ["image", "allowed_formats", "max_pixels"])
def test_an_event_that_lacks_a_part_is_a_crash(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        handler.lambda_handler({key: value for key, value in EVENT.items() if key != missing}, None)


@pytest.mark.parametrize("image", ["not base64!", "abc", "\u00e9", 7, None])
def test_an_event_whose_image_is_not_base64_is_a_crash(image: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        handler.lambda_handler(EVENT | {"image": image}, None)


# Pillow calls the file broken if a decoder runs out of memory.
@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory when reading image file")])
def test_running_out_of_memory_is_a_crash(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def out_of_memory(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr("PIL.Image.open", out_of_memory)

    with pytest.raises(MemoryError):
        handler.lambda_handler(PALETTE_EVENT, None)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
@pytest.mark.parametrize(
    ("mode", "memory", "code"),
    [
        ("L", 1_000_000, 7),
        ("RGB", 1_000_000, 7),
        ("P", 50_000_000, 7),
        ("I;16", 50_000_000, 7),
        # Decoded a few rows at a time.
        ("L", 50_000_000, 0),
        ("RGB", 50_000_000, 0),
    ],
)
def test_a_png_without_memory_for_it_is_a_crash_that_python_knows(mode: str, memory: int, code: int) -> None:
    # Rust would panic, which Python sees as a BaseException and not as an Exception.
    program = f"""
import resource, sys
from image_intensity import measure
data = sys.stdin.buffer.read()
taken = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (taken + {memory}, resource.RLIM_INFINITY))
try:
    measure(data)
except MemoryError:
    sys.exit(7)
"""
    data = encode(Image.new(mode, (10_000, 6_000)), "PNG")
    assert subprocess.run([sys.executable, "-c", program], input=data, timeout=60, check=False).returncode == code
