"""The documents tell the truth: their examples work as pasted, and what they point to exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from gateway.settings import Settings
from intensity.cli.runs_arguments import STACK
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(REPOSITORY)
    for folder in [REPOSITORY, *(entry for entry in REPOSITORY.iterdir() if entry.is_dir() and entry.name[0] != ".")]
    for path in (folder.glob("*.md") if folder == REPOSITORY else folder.rglob("*.md"))
)
DECISIONS = [path for path in DOCUMENTS if path.parent.name == "decisions" and path.name != "README.md"]
README_WORDS, WORDS = 900, 22_000
DECISION_LINES = 10
SERVICE = "http://localhost:5000"


def read(document: str | Path) -> str:
    return (REPOSITORY / document).read_text()


def prose(document: str | Path) -> str:
    """A document without its code blocks."""
    return re.sub(r"^```.*?^```", "", read(document), flags=re.DOTALL | re.MULTILINE)


def examples(document: str, section: str, language: str) -> list[str]:
    """The code blocks in this language of a section, or of a whole document."""
    text = read(document).partition(f"## {section}\n" if section else "\n")[2]
    if section:
        text = text.partition("\n## ")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [code for name, code in blocks if name == language]


def example(document: str, section: str, language: str, containing: str = "") -> str:
    """The one code block in this language of a section, or the one of several that contains a text."""
    [code] = [block for block in examples(document, section, language) if containing in block]
    return code


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo.jpg in a folder of its own."""
    pixels = np.random.default_rng(7).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def intensity(photo: Path) -> float:
    return float(np.asarray(Image.open(photo).convert("L")).mean())


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    """A panorama.png above the inline limit."""
    pixels = np.random.default_rng().integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "panorama.png", compress_level=0)
    return tmp_path / "panorama.png"


@pytest.fixture(scope="module")
def server_with_storage(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """What `make run` serves."""
    with serve() as address:
        yield address


def run(program: list[str], folder: Path) -> str:
    """What a program prints that must succeed, with the commands of this environment in reach."""
    for tool in ("curl", "jq"):
        if f"{tool} " in program[-1]:
            executable(tool)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, check=True, text=True).stdout


def test_the_curl_example_prints_the_fields_that_the_document_shows(server: str, photo: Path) -> None:
    command = example("docs/api.md", "Measure an image", "sh", "curl").replace(SERVICE, server)
    answer = json.loads(run(["bash", "-c", command], photo.parent))
    assert answer["average_intensity"] == intensity(photo)
    assert list(answer) == list(json.loads(example("docs/api.md", "Measure an image", "json")))


def test_the_curl_example_without_a_form_gives_the_same_number(server: str, photo: Path) -> None:
    command = example("docs/api.md", "Without a form", "sh").replace(SERVICE, server)
    answer = json.loads(run(["bash", "-c", command], photo.parent))
    assert (answer["average_intensity"], answer["filename"]) == (intensity(photo), "")


def test_the_python_example_for_the_service_prints_the_intensity(server: str, photo: Path) -> None:
    code = example("docs/api.md", "Measure an image", "python").replace(SERVICE, server)
    assert run([sys.executable, "-c", code], photo.parent).startswith(f"{intensity(photo):.2f}, cache: ")


def test_the_python_examples_for_the_library_print_the_intensities(photo: Path) -> None:
    one, many = examples("core/README.md", "", "python")
    with Image.open(photo) as image:
        region = np.asarray(image.convert("RGB"))[:30, :40].astype(int)
    gray = (region @ [13933, 46871, 4732] + 32768) >> 16
    assert run([sys.executable, "-c", one], photo.parent) == f"{gray.mean()} {np.median(gray)}\n"
    (photo.parent / "many.py").write_text(many)
    assert run([sys.executable, "many.py"], photo.parent) == f"photo.jpg {intensity(photo)}\n"


@pytest.mark.parametrize(
    ("language", "section"), [("sh", "With bash, curl and jq"), ("python", "With Python")], ids=["sh", "python"]
)
def test_the_examples_for_large_images_print_the_intensity_and_the_second_time_upload_nothing(
    server_with_storage: str, panorama: Path, language: str, section: str
) -> None:
    code = example("docs/api.md", section, language).replace(SERVICE, server_with_storage)
    start = ["bash", "-c"] if language == "sh" else [sys.executable, "-c"]
    sending, failing = {"sh": ("file=@$file", "file=@nothing"), "python": ('{"file": file.open("rb")}', "1 / 0")}[
        language
    ]
    assert sending in code
    # If the second run sent the file, it would get an error and no number.
    for program in (code, code.replace(sending, failing)):
        printed = run([*start, program], panorama.parent)
        assert str(intensity(panorama)) in printed
        assert "panorama.png" in printed


def test_the_example_for_images_that_take_minutes_prints_the_intensity(
    server_with_storage: str, panorama: Path
) -> None:
    sections = ("With bash, curl and jq", "Images that take minutes")
    code = "\n".join(example("docs/api.md", section, "sh") for section in sections)
    printed = run(["bash", "-c", code.replace(SERVICE, server_with_storage)], panorama.parent)
    assert f'"average_intensity": {intensity(panorama)}' in printed.partition('"result"')[2]


def test_the_curl_example_for_large_images_prints_what_is_wrong(server_with_storage: str, tmp_path: Path) -> None:
    (tmp_path / "panorama.png").write_bytes(b"")
    code = example("docs/api.md", "With bash, curl and jq", "sh").replace(SERVICE, server_with_storage)
    assert json.loads(run(["bash", "-c", code], tmp_path))["code"] == "empty_file"


def test_the_limits_of_large_images_are_the_defaults_of_the_settings() -> None:
    told = re.findall(r"([\d,]+) \(`(MAX_\w+)`\)", read("docs/api.md"))
    assert len(told) == 6
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert {name: int(limit.replace(",", "")) for limit, name in told} == {name: defaults[name] for _, name in told}


def test_the_example_for_runs_asks_the_stack_that_its_deployment_makes() -> None:
    deployed = tomllib.loads(read("samconfig.toml"))
    example = read("docs/runs.md").partition("```sh\n")[2].partition("```")[0]
    assert "make deploy PARAMETERS=" in example
    assert f"export INTENSITY_STACK={deployed['default']['deploy']['parameters']['stack_name']} " in example
    # What the command asks without this variable, as the document says.
    assert deployed["prod"]["deploy"]["parameters"]["stack_name"] == STACK


def test_the_documents_are_short() -> None:
    words = {path: len(read(path).split()) for path in DOCUMENTS}
    assert words[Path("README.md")] <= README_WORDS
    assert sum(words.values()) <= WORDS, "shorten one, or leave out what another one says"


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_relative_link_leads_to_a_file_and_a_heading_in_it(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    dead = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / document.parent / path).resolve() if path else REPOSITORY / document
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.relative_to(REPOSITORY))):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_nothing_follows_a_row_of_a_table_or_the_end_of_code(document: Path) -> None:
    lines = [line for line in read(document).splitlines() if re.match(r"\||\s*```", line)]
    assert [line for line in lines if not re.fullmatch(r"\|.*\||\s*```\w*", line)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_target_of_make_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", read("Makefile"), re.MULTILINE))
    code = re.findall(r"^```.*?^```|`[^`\n]+`", read(document), re.DOTALL | re.MULTILINE)
    named = {
        target for block in code for names in re.findall(r"\bmake((?: [a-z0-9]+)+)", block) for target in names.split()
    }
    assert named <= targets


def test_every_file_that_contributing_names_exists() -> None:
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", prose("CONTRIBUTING.md"))
    assert len(paths) > 20
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("document", DECISIONS, ids=str)
def test_every_decision_says_why_in_ten_lines(document: Path) -> None:
    entries = re.split(r"^## ", read(document), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        _, *lines = (line for line in entry.splitlines() if line and not line.startswith("|"))
        assert re.search(r"\bWhy:\s", entry), entry
        assert len(lines) <= DECISION_LINES, entry


def test_the_index_of_decisions_has_every_topic() -> None:
    listed = re.findall(r"^\| \[.*?\]\((.*?)\)", read("docs/decisions/README.md"), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in DECISIONS)
