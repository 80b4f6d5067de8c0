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
from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import NoCache
from gateway.settings import Settings
from image_intensity import FORMATS, LUMA_FORMULAS, OPTIONS, ImageFormat
from local_server.settings import LocalSettings
from tests.support import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer

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
    "runs": {"contract", "gateway", "processor", "local_server", "fastapi", "pydantic", "redis"},
}
# It loads the modules of a format by its name in the table: they are in the folders beside it.
FORMATS_BY_NAME = REPOSITORY / "core/image_intensity/formats/__init__.py"
LOCKS = ["functions/gateway", "functions/processor", "infra/local"]


def imports(source: Path) -> Iterator[str]:
    """The top names that a file imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: a relative import"
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if source == FORMATS_BY_NAME:
                continue
            pytest.fail(f"{source}: an import that cannot be read off the code")


def imported_by(package: str) -> set[str]:
    files = list((PACKAGES[package] / package).rglob("*.py"))
    assert files
    return {name for file in files for name in imports(file)}


def test_the_contract_imports_the_standard_library_and_the_core_only() -> None:
    assert imported_by("contract") <= sys.stdlib_module_names | {"contract", "image_intensity"}


def test_the_gateway_and_the_contract_import_the_types_of_the_core_and_nothing_else_of_it() -> None:
    for package in ("gateway", "contract"):
        for file in (PACKAGES[package] / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("image_intensity"):
                    assert node.module == "image_intensity", file
                    assert "measure" not in [alias.name for alias in node.names], file


def test_the_formats_of_the_core_are_those_that_may_be_named() -> None:
    assert list(FORMATS) == list(get_args(ImageFormat))


# The only rooms of a package that may import something that is foreign to the rest of it.
ROOMS = {"intensity": {"sources": {"botocore"}, "runs": {"botocore"}}}


@pytest.mark.parametrize("package", FOREIGN)
def test_a_package_imports_nothing_of_the_others(package: str) -> None:
    for file in (PACKAGES[package] / package).rglob("*.py"):
        room = file.relative_to(PACKAGES[package] / package).parts[0]
        allowed = ROOMS.get(package, {}).get(room, set())
        assert set(imports(file)) & (FOREIGN[package] - allowed) == set(), file


def test_runs_import_nothing_of_the_command_line() -> None:
    for folder in (PACKAGES["runs"] / "runs", PACKAGES["intensity"] / "intensity/runs"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                modules = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
                modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                assert not [name for name in modules if name.startswith("intensity.cli")], file


def test_only_the_local_run_imports_both_functions() -> None:
    both = {package for package in PACKAGES if {"gateway", "processor"} <= imported_by(package) | {package}}
    assert both == {"local_server"}


def test_every_import_from_elsewhere_is_asked_for_in_the_packages_own_project_file() -> None:
    spellings = {
        "PIL": "pillow",
        "aws_lambda_powertools": "aws-lambda-powertools",
        "jwt": "pyjwt",
        # Lambda's runtime has it.
        "snapshot_restore_py": "",
        "types_boto3_cloudformation": "",
        "types_boto3_dynamodb": "",
        "types_boto3_lambda": "",
        "types_boto3_s3": "",
        "types_boto3_stepfunctions": "",
    }
    # Another package brings these, and we use them through it on purpose.
    comes_with = {
        "pydantic": "fastapi",
        "pydantic_core": "fastapi",
        "starlette": "fastapi",
        "python_multipart": "python-multipart",
    }
    for package, folder in PACKAGES.items():
        names = imported_by(package) - sys.stdlib_module_names - set(PACKAGES)
        asked = {
            name for near in ([folder] if package != "local_server" else PACKAGES.values()) for name in required(near)
        }
        for name in names:
            spelled = comes_with.get(name, spellings.get(name, name)).replace("_", "-")
            assert not spelled or spelled in asked, f"{package} imports {name}"


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


def test_only_what_is_published_has_a_version_and_that_is_in_one_place() -> None:
    versions = {package: project(folder).get("version") for package, folder in PACKAGES.items()}
    assert {package for package, version in versions.items() if version != "0"} == {"image_intensity", "intensity"}
    assert project(PACKAGES["image_intensity"])["dynamic"] == ["version"]


def test_all_packages_want_the_same_python() -> None:
    assert {project(folder)["requires-python"] for folder in PACKAGES.values()} == {">=3.11"}


def test_all_packages_have_the_license_of_the_repository() -> None:
    text = (REPOSITORY / "LICENSE").read_text()
    for folder in PACKAGES.values():
        assert (project(folder)["license"], project(folder)["license-files"]) == ("MIT", ["LICENSE"])
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


def test_what_the_core_needs_is_deployed_with_the_processor() -> None:
    needed = {re.split(r"[<>=]", name)[0] for name in project(PACKAGES["image_intensity"])["dependencies"]}
    assert needed <= locked("functions/processor/requirements.txt").keys()


def test_what_is_run_locally_and_tested_is_what_is_deployed() -> None:
    gateway, processor, local = (locked(f"{folder}/requirements.txt") for folder in LOCKS)
    development = locked("requirements-dev.txt")
    assert gateway.items() | processor.items() <= local.items()
    assert local.items() <= development.items()
    for apart in ("functions/authorizer", "functions/runs"):
        assert locked(f"{apart}/requirements.txt").items() <= development.items()


class NoProcessor:
    async def measure(self, invocation: Invocation) -> Answer:
        raise NotImplementedError


def test_the_committed_openapi_document_is_the_applications() -> None:
    settings = Settings.load({})
    app = create_app(settings, cache=NoCache(), processor=NoProcessor(), logger=make_logger(settings))
    document = json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
    file = REPOSITORY / "docs/openapi.json"
    if os.environ.get("UPDATE_OPENAPI") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(document)
    committed = file.read_text() if file.exists() else ""
    advice = "docs/openapi.json is out of date: UPDATE_OPENAPI=1 .venv/bin/python -m pytest tests/test_house.py"
    assert json.loads(committed or "{}") == json.loads(document), advice


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
