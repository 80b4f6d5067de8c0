"""Why an installation has failed is a sentence, and not what the installer has to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import missing

REPOSITORY = Path(__file__).parents[2]
UV = REPOSITORY / ".venv/bin/uv"


@pytest.mark.parametrize(
    ("requirement", "sentence"),
    [
        ("click", "The package index cannot be reached."),
        ("not a requirement", "The installation has failed: "),
    ],
)
def test_the_sentence_names_the_network_if_that_is_the_cause(tmp_path: Path, requirement: str, sentence: str) -> None:
    if not UV.exists():
        missing("uv (make test installs it)")
    log = tmp_path / "log"
    quick = {**os.environ, "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    # Nothing listens there.
    command: list[str | Path] = [UV, "pip", "install", "--python", sys.executable, "--dry-run", "--reinstall"]
    command += ["--default-index", "http://127.0.0.1:9/simple", requirement]
    with log.open("w") as file:
        assert subprocess.run(command, env=quick, stdout=file, stderr=file, check=False).returncode
    said = subprocess.run(
        ["sh", REPOSITORY / "infra/local/explain.sh", log], capture_output=True, text=True, check=True
    ).stderr
    assert said.startswith(sentence)
    assert said.endswith(f"All that was said is in {log}.\n")
    assert said.count("\n") == 1
