"""What the Makefile installs and starts, where folders and Pythons are not as usual."""

from __future__ import annotations

import os
import re
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
    for name in ("ministack", "uv"):
        (folder / f"infra/tools/{name}.txt").touch()
    shutil.copy(REPOSITORY / "Makefile", folder)
    for name in ("uv", "python"):
        program = folder / ".venv/bin" / name
        program.write_text(
            '#!/bin/sh\necho "$*|$UV_CACHE_DIR|$AWS_DEFAULT_REGION" >> printed\nmkdir -p .venv-ministack\n'
        )
        program.chmod(0o755)
    return folder


def make(clone: Path, target: str, **variables: str) -> list[list[str]]:
    """Make a target, where all is there that is made before. Return the words of the programs, and two variables."""
    unset = {"UV_CACHE_DIR", "MAKEFLAGS", "AWS_REGION", "AWS_DEFAULT_REGION"}
    usual = {name: value for name, value in os.environ.items() if name not in unset}
    made = ("run", "dev", "bin/uv")
    command = ["make", "--silent", *(f"--old-file=.venv/{name}" for name in made), target]
    subprocess.run(command, cwd=clone, env={**usual, **variables}, check=True)
    return [line.split("|") for line in (clone / "printed").read_text().splitlines()]


def test_help_names_every_target_in_a_terminal_of_80_columns(clone: Path) -> None:
    told = subprocess.run(["make"], cwd=clone, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^([a-z0-9]+):", (clone / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    assert set(re.findall(r"^  make ([a-z0-9]+)  ", told, re.MULTILINE)) == targets
    assert max(map(len, told.splitlines())) <= 80


def test_the_service_starts_in_a_path_with_spaces(clone: Path) -> None:
    [(started, *_)] = make(clone, "run")
    assert started == "-m local_server"


def program(path: Path, script: str) -> None:
    """Make a program of a line of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_is_deployed_is_built_in_a_path_with_spaces(clone: Path, tmp_path: Path) -> None:
    (clone / ".aws-sam/build/GatewayFunction").mkdir(parents=True)
    program(clone / ".venv-sam/bin/sam", 'printf "%s\\n" "$*" "$UV" "$SLIM" "$CORE" > told')
    for name in ("docker", "du"):
        program(tmp_path / "bin" / name, "echo")
    there = (f"--old-file={name}" for name in (".venv/bin/uv", ".venv-sam/stamp"))
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    subprocess.run(
        ["make", "--silent", *there, "build"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    paths = [str(clone / name) for name in (".venv/bin/uv", "infra/slim.sh", "core")]
    assert (clone / "told").read_text().splitlines() == ["build", *paths]
    assert (clone / ".aws-sam/build/GatewayFunction/printed").read_text().startswith("-c import shutil")


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("functions/authorizer", "AuthorizerFunction"),
        ("functions/runs", "PlanFunction"),
        ("functions/gateway", "GatewayFunction"),
        ("layers/contract", "ContractLayer"),
    ],
)
def test_every_function_is_built_with_programs_and_into_folders_whose_paths_have_spaces(
    clone: Path, tmp_path: Path, folder: str, target: str
) -> None:
    artifacts, core = clone / "built", clone / "core"
    (artifacts / "botocore/data").mkdir(parents=True)
    for name in ("image_intensity/formats", "intensity"):
        (core / name).mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "measurement.py", "options.py"):
        (core / "image_intensity" / name).touch()
    program(tmp_path / "bin/docker", f'printf "%s\\n" "$@" > "{clone}/told"')
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "UV": str(clone / ".venv/bin/uv"),
        "SLIM": str(clone / "infra/slim.sh"),
        "CORE": str(core),
        "ARTIFACTS_DIR": str(artifacts),
    }
    source = shutil.copytree(REPOSITORY / folder, clone / "source")
    subprocess.run(["make", "--silent", f"build-{target}"], cwd=source, env=environment, check=True)
    if target != "ContractLayer":
        assert f"--target {artifacts} " in (source / "printed").read_text()
    if target != "AuthorizerFunction":
        told = (clone / "told").read_text().splitlines()
        assert {f"{artifacts}:/task", f"{clone}/infra/slim.sh:/slim.sh:ro"} <= set(told)


def test_the_tools_have_the_python_of_the_service_and_not_the_first_one_that_uv_finds(clone: Path) -> None:
    [(made, *_), _] = make(clone, STAMP)
    assert made.split()[0] == "venv"
    assert "--python .venv/bin/python" in made


def test_what_uv_downloads_is_kept_here_where_no_home_folder_can_be_written(clone: Path, tmp_path: Path) -> None:
    for home, cache in {tmp_path: "", tmp_path / "nobody": str(clone / ".venv/cache")}.items():
        (clone / STAMP).unlink(missing_ok=True)
        (clone / "printed").unlink(missing_ok=True)
        assert {line[1] for line in make(clone, STAMP, HOME=str(home))} == {cache}


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
    # With what pytest has compiled.
    shutil.copytree(REPOSITORY / "tests", tmp_path / "tests")
    for entry in REPOSITORY.iterdir():
        if not entry.name.startswith((".venv", ".git")) and entry.name != "tests":
            (tmp_path / entry.name).symlink_to(entry)
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
    environment = {**os.environ, "REQUIRE_ALL": ""}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:]
