"""The rules of the house: who may import whom, and what must not drift apart."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import SecretStr

from contract.problems import PROBLEM_TYPES
from gateway.settings import Settings
from image_intensity import FORMATS, LUMA_FORMULAS, OPTIONS, ImageFormat
from local_server.settings import LocalSettings
from tests.gateway.driver import Gateway
from tests.support import names

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {
    "image_intensity": REPOSITORY / "core",
    "intensity": REPOSITORY / "core",
    "contract": REPOSITORY / "layers/contract",
    "gateway": REPOSITORY / "functions/gateway",
    "processor": REPOSITORY / "functions/processor",
    "authorizer": REPOSITORY / "functions/authorizer",
    "runs": REPOSITORY / "functions/runs",
    "local_server": REPOSITORY / "infra/local",
}
FOREIGN = {
    "image_intensity": {
        *("boto3", "botocore", "fastapi", "mangum", "pydantic", "starlette", "redis"),
        *("contract", "gateway", "intensity", "local_server", "processor", "runs"),
    },
    "intensity": {
        *("boto3", "botocore", "fastapi", "mangum", "pydantic", "starlette", "redis"),
        *("contract", "gateway", "local_server", "processor", "runs"),
    },
    "gateway": {"PIL", "numpy", "simplejpeg", "processor", "local_server", "uvicorn", "fakeredis"},
    "processor": {"fastapi", "starlette", "pydantic", "redis", "boto3", "mangum", "gateway", "local_server"},
    "authorizer": {"contract", "gateway", "image_intensity", "local_server", "processor", "boto3", "botocore"},
    "runs": {"contract", "gateway", "processor", "local_server", "fastapi", "pydantic", "redis", "intensity.cli"},
}
# The only rooms of a package that may import something that is foreign to the rest of it, and what they may not.
ROOMS = {("intensity", "sources"): {"botocore"}, ("intensity", "runs"): {"botocore"}}
FOREIGN_TO_ROOMS = {("intensity", "runs"): {"intensity.cli"}}
# It loads the modules of a format by its name in the table: they are in the folders beside it.
FORMATS_BY_NAME = REPOSITORY / "core/image_intensity/formats/__init__.py"
LOCKS = ["functions/gateway", "functions/processor", "infra/local"]


def imports(source: Path) -> Iterator[str]:
    """What a file imports, wherever in it that stands, with all dots of its name."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            assert source == FORMATS_BY_NAME, f"{source}: an import that cannot be read off the code"


def imported_by(package: str) -> dict[Path, set[str]]:
    """What each file of a package imports."""
    files = {file: set(imports(file)) for file in (PACKAGES[package] / package).rglob("*.py")}
    assert files
    return files


def packages_imported_by(package: str) -> set[str]:
    return {name.partition(".")[0] for imported in imported_by(package).values() for name in imported}


def test_the_contract_imports_the_standard_library_and_the_core_only() -> None:
    assert packages_imported_by("contract") <= sys.stdlib_module_names | {"contract", "image_intensity"}


@pytest.mark.parametrize("package", ["gateway", "contract"])
def test_gateway_and_contract_import_what_the_core_offers_to_all_and_never_measure(package: str) -> None:
    for file, imported in imported_by(package).items():
        of_core = {name for name in imported if name.startswith("image_intensity.")}
        assert not {name for name in of_core if name.count(".") > 1 or name.endswith(".measure")}, file


def test_the_formats_of_the_core_are_those_that_may_be_named() -> None:
    assert list(FORMATS) == list(get_args(ImageFormat))


@pytest.mark.parametrize("package", FOREIGN)
def test_a_package_imports_nothing_of_the_others(package: str) -> None:
    for file, imported in imported_by(package).items():
        room = (package, file.relative_to(PACKAGES[package] / package).parts[0])
        foreign = FOREIGN[package] - ROOMS.get(room, set()) | FOREIGN_TO_ROOMS.get(room, set())
        assert not [name for name in imported if any(f"{name}.".startswith(f"{each}.") for each in foreign)], file


def test_only_the_local_run_imports_both_functions() -> None:
    both = {package for package in PACKAGES if {"gateway", "processor"} <= packages_imported_by(package) | {package}}
    assert both == {"local_server"}


def test_every_import_from_elsewhere_is_asked_for_in_the_packages_own_project_file() -> None:
    spellings = {"PIL": "pillow", "jwt": "pyjwt"}
    # Another package brings these, and we use them through it on purpose.
    spellings |= dict.fromkeys(("pydantic", "pydantic_core", "starlette"), "fastapi")
    for package, folder in PACKAGES.items():
        folders = PACKAGES.values() if package == "local_server" else [folder]
        asked = {name for each in folders for name in required(each)}
        for name in packages_imported_by(package) - sys.stdlib_module_names - set(PACKAGES):
            # Lambda's runtime has the one; the others are types, which only the type checker imports.
            if name != "snapshot_restore_py" and not name.startswith("types_boto3_"):
                assert spellings.get(name, name).replace("_", "-") in asked, f"{package} imports {name}"


# As a cold start on Lambda does it.
STARTS = {
    "gateway": ("gateway.handler", ["PIL", "numpy", "simplejpeg", "processor", "local_server", "uvicorn", "fakeredis"]),
    "processor": ("processor.handler", ["fastapi", "pydantic", "redis", "boto3", "botocore", "gateway"]),
    "contract": ("contract.problems, contract.invocation, image_intensity", ["pydantic", "PIL", "numpy"]),
    # The start of a run and its workers. Only measuring processes have decoders; Compose's gateway has none.
    "local_server": ("local_server.start, local_server.app", ["PIL", "numpy", "simplejpeg", "processor"]),
    # Measuring processes. There are several, and each would have its own copy of what it does not need.
    "local_server.measuring": ("local_server.measuring", ["fastapi", "starlette", "pydantic", "botocore", "gateway"]),
    "runs": ("runs.plan, runs.reduce", ["PIL", "numpy", "tqdm", "intensity.cli", "contract", "gateway", "processor"]),
    "runs.measure": ("runs.measure", ["boto3", "duckdb", "tqdm", "intensity.cli", "contract", "gateway", "processor"]),
    "image_intensity": ("image_intensity.measuring", ["boto3", "botocore", "pydantic", "contract", "tqdm", "duckdb"]),
}


@pytest.mark.parametrize("package", STARTS)
def test_a_start_loads_nothing_of_the_others(package: str) -> None:
    module, foreign = STARTS[package]
    program = f"import {module}, sys; print([name for name in {foreign} if name in sys.modules])"
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-central-1"}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (loaded.stdout.strip(), loaded.stderr) == ("[]", "")


def test_create_app_and_all_that_it_is_made_of_read_no_environment() -> None:
    reading = {
        file.name
        for file in (PACKAGES["gateway"] / "gateway").rglob("*.py")
        if re.search(r"os\.(environ|getenv)", file.read_text())
    }
    assert reading == {"handler.py"}


def rows(document: str, heading: str) -> list[list[str]]:
    """The rows of the table in a section of a document, below its head, each as its cells."""
    text = (REPOSITORY / document).read_text()
    section = re.split(rf"^#+ {heading}\n", text, flags=re.MULTILINE)[1].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(cells) > 2, f"{document} has no table under {heading}"
    return cells[2:]


def test_the_table_in_settings_md_has_exactly_the_settings_and_their_defaults() -> None:
    table = rows("docs/settings.md", "Settings")
    documented = {name.strip("`"): default.strip("`") for name, default, *_ in table}
    in_code = {names(field)[0]: written(field.default) for field in LocalSettings.model_fields.values()}
    assert documented == in_code, "the table in docs/settings.md differs from gateway/settings.py"
    assert list(documented)[: len(Settings.model_fields)] == list(in_code)[: len(Settings.model_fields)]


def written(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_table_of_errors_in_api_md_has_exactly_the_problem_codes() -> None:
    documented = [(int(status), code.strip("`")) for status, code, *_ in rows("docs/api.md", "Errors")]
    in_code = sorted((kind.status, code.value) for code, kind in PROBLEM_TYPES.items())
    assert sorted(documented) == in_code, "the table in docs/api.md differs from contract/problems.py"


def project(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return content


def required(folder: Path) -> set[str]:
    """What a package asks for, by name, its extras included."""
    told = project(folder)
    extras = [name for names in told.get("optional-dependencies", {}).values() for name in names]
    return {re.split(r"[\[<>=~! ]", requirement)[0].lower() for requirement in [*told["dependencies"], *extras]}


def test_only_what_is_published_has_a_version_and_all_want_the_same_python_and_have_the_license() -> None:
    versions = {package: project(folder).get("version") for package, folder in PACKAGES.items()}
    assert {package for package, version in versions.items() if version != "0"} == {"image_intensity", "intensity"}
    assert project(PACKAGES["image_intensity"])["dynamic"] == ["version"]
    text = (REPOSITORY / "LICENSE").read_text()
    for folder in PACKAGES.values():
        told = project(folder)
        assert (told["requires-python"], told["license"], told["license-files"]) == (">=3.11", "MIT", ["LICENSE"])
        assert (folder / "LICENSE").read_text() == text


def locked(path: str) -> dict[str, str]:
    """What a lock file pins, by name; each with its hashes."""
    pins = {}
    content = (REPOSITORY / path).read_text().replace("\\\n", " ")
    for line in content.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = re.match(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==(\S+)(.*)", line)
        assert pin, f"{path}: {line[:60]} is not pinned"
        assert "--hash=sha256:" in pin[3], f"{path}: {pin[1]} has no hash"
        assert "://" not in line, f"{path}: {pin[1]} has a download address"
        pins[pin[1].lower()] = pin[2]
    return pins


@pytest.mark.parametrize("folder", [str(folder.relative_to(REPOSITORY)) for folder in PACKAGES.values()])
def test_what_a_package_asks_for_is_pinned_with_a_hash_in_its_lock_file(folder: str) -> None:
    # The core is deployed with the processor. Its extras are for people, and tested here.
    lock = "requirements-dev.txt" if folder == "core" else f"{folder}/requirements.txt"
    assert required(REPOSITORY / folder) <= locked(lock).keys()


def test_what_is_run_locally_and_tested_is_what_is_deployed() -> None:
    gateway, processor, local = (locked(f"{folder}/requirements.txt") for folder in LOCKS)
    development = locked("requirements-dev.txt")
    assert gateway.items() | processor.items() <= local.items()
    assert local.items() <= development.items()
    for apart in ("functions/authorizer", "functions/runs"):
        assert locked(f"{apart}/requirements.txt").items() <= development.items()
    # The core is deployed with the processor.
    needed = {re.split(r"[<>=]", name)[0] for name in project(PACKAGES["image_intensity"])["dependencies"]}
    assert needed <= processor.keys()


def test_the_committed_openapi_document_is_the_applications() -> None:
    document, file = Gateway().app.openapi(), REPOSITORY / "docs/openapi.json"
    if os.environ.get("UPDATE_OPENAPI") == "1":
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    advice = "docs/openapi.json is out of date: UPDATE_OPENAPI=1 .venv/bin/python -m pytest tests/test_house.py"
    assert json.loads(file.read_text()) == json.loads(json.dumps(document)), advice


def test_the_page_has_the_options_and_formulas_of_the_library() -> None:
    choices = (REPOSITORY / "static_site/choices.js").read_text()
    declared = {
        name: re.findall(r"^    (\w+): \{", values, re.MULTILINE)
        for name, values in re.findall(r"^  (\w+): \{\n(.*?)^  \},", choices, re.MULTILINE | re.DOTALL)
    }
    assert declared == {name: list(option.values) for name, option in OPTIONS.items() if option.values}
    assert re.findall(r'^export const OPTIONS = .*, "(\w+)"\];', choices, re.MULTILINE) == [
        name for name, option in OPTIONS.items() if not option.values
    ]
    page = (REPOSITORY / "static_site/index.html").read_text()
    selects = dict(re.findall(r'<select id="(\w+)">(.*?)</select>', page, re.DOTALL))
    assert {name: re.findall(r'value="(\w+)"', selects.get(name, "")) for name in declared} == declared
    formulas = {
        luma: (tuple(map(int, weights.split(", "))), int(divisor))
        for luma, weights, divisor in re.findall(r"(\w+): \{.* weights: \[(.*)\], divisor: (\w+)", choices)
    }
    assert formulas == LUMA_FORMULAS
