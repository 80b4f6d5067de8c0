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
    assert explained(log).startswith(sentence)


def test_a_python_without_tls_is_not_taken_for_a_network_without_an_index(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # What pip says then.
    log.write_text(
        "WARNING: pip is configured with locations that require TLS/SSL, however the ssl module in Python is not "
        "available.\nERROR: Could not find a version that satisfies the requirement uv (from versions: none)\n"
    )
    assert explained(log).startswith("This Python cannot use TLS, because it has no module ssl. ")


def explained(log: Path) -> str:
    """What the script says of a log."""
    said = subprocess.run(
        ["sh", REPOSITORY / "infra/local/explain.sh", log], capture_output=True, text=True, check=True
    ).stderr
    assert said.endswith(f"All that was said is in {log}.\n")
    assert said.count("\n") == 1
    return said
