"""Parquet: one schema whatever the rows, the same values as JSON lines, and runs that can be resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from intensity.rows import parquet_columns
from tests.cli.command import BASE_COLUMNS, intensity, json_rows, sums
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # DuckDB would take these for a pattern.
    folder = tmp_path / "images [1] *?'"
    folder.mkdir()
    for mode in ("L", "P", "RGBA", "I;16"):
        (folder / f"{mode.replace(';', '-')}.png").write_bytes(encoded(pixels(mode), "PNG"))
    (folder / "=1+1.png").write_bytes(encoded(pixels("RGB"), "PNG"))
    (folder / "empty.png").touch()
    return folder


def journal_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.partial.jsonl")


def table(file: Path) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """The columns with their types, and the rows."""
    name = str(file).replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
    found = duckdb.execute("SELECT * FROM read_parquet(?)", [name])
    columns = [(name, str(kind)) for name, kind, *_ in found.description or []]
    return columns, [dict(zip([name for name, _ in columns], row, strict=True)) for row in found.fetchall()]


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of JSON lines as Parquet has it."""
    return {column.name: column.value(row) for column in parquet_columns(full="statistics" in row)}


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_the_rows_are_those_of_json_lines_to_the_last_bit(folder: Path, detail: list[str]) -> None:
    file = folder / "results.parquet"
    assert intensity(folder, "-o", file, *detail).returncode == 1
    columns, rows = table(file)
    expected = [flat(row) for row in json_rows(intensity(folder, "--format", "jsonl", *detail).stdout)]
    for row in rows:
        if row.get("decoders"):
            row["decoders"] = json.loads(row["decoders"])
        if row.get("histogram"):
            row["histogram"] = list(row["histogram"])
    assert rows == expected
    assert [name for name, _ in columns][: len(BASE_COLUMNS)] == BASE_COLUMNS
    assert not journal_of(file).exists()


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_the_schema_does_not_depend_on_the_rows(folder: Path, tmp_path: Path, detail: list[str]) -> None:
    for name, source in (("all", folder), ("problems", folder / "empty.png"), ("none", tmp_path / "nothing")):
        (tmp_path / "nothing").mkdir(exist_ok=True)
        intensity(source, "-o", tmp_path / f"{name}.parquet", *detail)
    schemas = {name: table(tmp_path / f"{name}.parquet")[0] for name in ("all", "problems", "none")}
    assert schemas["all"] == schemas["problems"] == schemas["none"]
    assert ("average_intensity", "DOUBLE") in schemas["all"]
    assert (("histogram", "BIGINT[]") in schemas["all"]) == bool(detail)


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_a_finished_file_can_be_resumed_with_more_files_and_its_problems_measured_again(
    folder: Path, tmp_path: Path, detail: list[str]
) -> None:
    file = tmp_path / "results.parquet"
    intensity(folder, "-o", file, *detail)
    before = table(file)[1]
    (folder / "more.png").write_bytes(encoded(pixels("RGB", seed=5), "PNG"))
    (folder / "empty.png").write_bytes(encoded(pixels("RGB", seed=6), "PNG"))
    result = intensity(folder, "-o", file, "--retry-problems", *detail)
    assert sums(result.stderr).startswith("7 files: 7 measured (5 of them before). ")
    assert result.returncode == 0
    after = table(file)[1]
    assert [row for row in before if not row["code"]] == after[:5]
    assert sorted(row["path"] for row in after) == sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("detail", [[], ["--detail", "full"]])
def test_a_finished_file_of_a_region_is_resumed_with_that_region_only(
    folder: Path, tmp_path: Path, detail: list[str]
) -> None:
    file = tmp_path / "results.parquet"
    intensity(folder, "-o", file, "--region", "3,4,20,17", *detail)
    before = file.read_bytes()
    for other in ([], ["--region", "3,4,17,20"]):
        refused = intensity(folder, "-o", file, "--resume", *other, *detail)
        assert (refused.returncode, file.read_bytes()) == (2, before)
        assert "measured with region 3,4,20,17" in refused.stderr
        journal_of(file).unlink(missing_ok=True)
    rows = table(file)[1]
    (folder / "more.png").write_bytes(encoded(pixels("RGB", seed=5), "PNG"))
    assert intensity(folder, "-o", file, "--resume", "--region", "3,4,20,17", *detail).returncode == 1
    after = table(file)[1]
    assert [row for row in after if not row["path"].endswith("more.png")] == rows
    assert {row["region"] for row in after} == {"3,4,20,17"}


def test_a_file_of_another_detail_is_left_alone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    intensity(folder, "-o", file)
    before = file.read_bytes()
    result = intensity(folder, "-o", file, "--resume", "--detail", "full")
    assert (result.returncode, file.read_bytes()) == (2, before)
    assert "other columns" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images [1] *?'", "results.parquet"]


@pytest.mark.parametrize("name", ["results.parquet", "results.parquet.partial.jsonl"])
def test_neither_the_file_nor_its_journal_is_overwritten_by_mistake(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("something")
    result = intensity(folder, "-o", tmp_path / "results.parquet")
    assert (result.returncode, (tmp_path / name).read_text()) == (2, "something")
    assert "--force overwrites it" in result.stderr


def test_what_is_no_parquet_is_not_resumed(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    file.write_text("something")
    result = intensity(folder, "-o", file, "--resume")
    assert (result.returncode, file.read_text()) == (2, "something")
    assert result.stderr.startswith(f"intensity: cannot resume {file}: cannot read {file}: ")
    assert len(result.stderr.splitlines()) == 1
