"""The OpenAPI document in the hands of others: a generator of clients, a tester of APIs."""

from __future__ import annotations

import json
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support import missing

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parents[1] / "docs/openapi.json"
TOOLS = TESTS.parents[1] / ".venv-openapi/bin"
# A user's program, with the generated package `client` beside it.
PROGRAM = """
import json, sys
from client import Client
from client.api.health import get_health
from client.api.measurements import measure_image
from client.models import FullIntensity, ImageForm, Intensity, Problem
from client.types import File

service = Client(sys.argv[1])

def measure(name, **options):
    with open(name, "rb") as file:
        return measure_image.sync(client=service, body=ImageForm(File(file, name)), **options)

with open("photo.png", "rb") as file:
    raw = measure_image.sync(client=service, body=File(file), content_disposition="attachment; filename=raw.png")
assert (raw.filename, raw.image_size_bytes) == ("raw.png", measure("photo.png").image_size_bytes)
short, full, problem = measure("photo.png"), measure("photo.png", detail="full"), measure("text.txt")
assert type(short) is Intensity and type(full) is FullIntensity and type(problem) is Problem
assert get_health.sync(client=service).limits.max_content_length > 0
print(json.dumps([short.average_intensity, full.statistics.median, len(full.histogram), problem.code]))
"""


def tool(name: str) -> str:
    """The path of a program of the tools for OpenAPI; skips where they are missing."""
    if not (TOOLS / name).exists():
        missing("a tool for OpenAPI (make test installs it)")
    return str(TOOLS / name)


def run(*command: str, folder: Path) -> str:
    """What a program prints that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_generated_client_measures_an_image_and_reads_its_statistics(server: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng().integers(0, 256, (60, 80), dtype=np.uint8)
    photo = BytesIO()
    Image.fromarray(pixels).save(photo, "PNG")
    (tmp_path / "photo.png").write_bytes(photo.getvalue())
    (tmp_path / "text.txt").write_text("no image")
    (tmp_path / "settings.yml").write_text("post_hooks: []\n")
    # It warns that it does not know the types of image/png and image/jpeg, and leaves them out.
    generate = ("generate", "--meta", "none", "--config", "settings.yml")
    run(tool("openapi-python-client"), *generate, "--path", str(DOCUMENT), "--output-path", "client", folder=tmp_path)
    printed = json.loads(run(tool("python"), "-c", PROGRAM, server, folder=tmp_path))
    assert printed == [pixels.mean(), np.median(pixels), 256, "unsupported_format"]


def test_schemathesis_finds_nothing(server: str, tmp_path: Path) -> None:
    program = (tool("schemathesis"), "--config-file", str(TESTS / "schemathesis.toml"), "run")
    # Its report names the seed of a failure. In CI, other examples each time find more than the same ones do.
    bounds = ("--max-examples", "20", "--url", server)
    assert "Tested: 6" in run(*program, f"{server}/openapi.json", *bounds, folder=tmp_path)
