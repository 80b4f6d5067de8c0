"""What the Makefile installs and starts, where folders and Pythons are not as usual."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STAMP = ".venv-ministack/stamp"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a path with spaces, whose uv and Python print what they are asked for."""
    folder = tmp_path / "my own images"
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / "infra/tools").mkdir(parents=True)
    (folder / "infra/tools/ministack.txt").touch()
    shutil.copy(REPOSITORY / "Makefile", folder)
    for name in ("uv", "python"):
        program = folder / ".venv/bin" / name
        program.write_text(
            '#!/bin/sh\necho "$*|$MINISTACK|$UV_CACHE_DIR|$AWS_DEFAULT_REGION" >> printed\nmkdir -p .venv-ministack\n'
        )
        program.chmod(0o755)
    return folder


def make(clone: Path, target: str, **variables: str) -> list[list[str]]:
    """Make a target, where all is there that is made before. Return the words of the programs, and three variables."""
    unset = {"UV_CACHE_DIR", "MAKEFLAGS", "AWS_REGION", "AWS_DEFAULT_REGION"}
    usual = {name: value for name, value in os.environ.items() if name not in unset}
    made = ("run", "dev", "bin/uv")
    command = ["make", "--silent", *(f"--old-file=.venv/{name}" for name in made), target]
    subprocess.run(command, cwd=clone, env={**usual, **variables}, check=True)
    return [line.split("|") for line in (clone / "printed").read_text().splitlines()]


def test_the_service_starts_in_a_path_with_spaces(clone: Path) -> None:
    [_, _, (started, ministack, *_)] = make(clone, "run")
    assert (started, ministack) == ("-m local_server", str(clone / ".venv-ministack/bin/ministack"))


def test_the_tools_have_the_python_of_the_service_and_not_the_first_one_that_uv_finds(clone: Path) -> None:
    [(made, *_), _] = make(clone, STAMP)
    assert made.split()[0] == "venv"
    assert "--python .venv/bin/python" in made


def test_what_uv_downloads_is_kept_here_where_no_home_folder_can_be_written(clone: Path, tmp_path: Path) -> None:
    for home, cache in {tmp_path: "", tmp_path / "nobody": str(clone / ".venv/cache")}.items():
        (clone / STAMP).unlink(missing_ok=True)
        (clone / "printed").unlink(missing_ok=True)
        assert {line[2] for line in make(clone, STAMP, HOME=str(home))} == {cache}


def test_a_python_that_is_too_old_is_named_and_how_to_take_another(clone: Path) -> None:
    shutil.rmtree(clone / ".venv")
    old = clone / "python3.10"
    # A real one, but for its version.
    version = "import sys; sys.version_info = (3, 10); sys.version = '3.10.13 x'"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{version}; $2"\n')
    old.chmod(0o755)
    command = ["make", "--silent", ".venv/bin/uv", "PYTHON=./python3.10"]
    result = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Python 3.11 or newer is needed; this is 3.10.13." in result.stderr
    assert "make run PYTHON=python3.11" in result.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"AWS_REGION": "eu-west-3"}, "eu-west-3"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-3"),
        ({}, ""),
    ],
)
def test_aws_is_asked_in_the_region_that_the_aws_cli_would_take(
    clone: Path, given: dict[str, str], region: str
) -> None:
    [(program, *_, chosen)] = make(clone, "key", **given)
    assert (program, chosen) == ("-m deployment.keys default", region)


def test_all_tests_are_found_where_only_make_test_has_installed_anything(tmp_path: Path) -> None:
    """A test may skip itself for want of a tool, but the collection of all tests must not end for it."""
    shutil.copytree(REPOSITORY / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for entry in REPOSITORY.iterdir():
        if not entry.name.startswith((".venv", ".git")) and entry.name != "tests":
            (tmp_path / entry.name).symlink_to(entry)
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", "tests"]
    environment = {**os.environ, "REQUIRE_ALL": ""}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:]
