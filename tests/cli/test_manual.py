"""docs/command.md has every option, column, code and exit code of the command, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from image_intensity import MeasurementError
from intensity import rows
from tests.cli.command import BASE_COLUMNS, intensity

MANUAL = (Path(__file__).parents[2] / "docs/command.md").read_text()


def first_cells(heading: str) -> str:
    """The first cells of the tables in a section."""
    section = re.split(rf"^##+ {heading}$", MANUAL, flags=re.MULTILINE)[1].partition("\n## ")[0]
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])(?:--[a-z][a-z-]+|-[a-z0-9](?!\w))", text))


def test_every_option_is_in_the_manual() -> None:
    of_files, own = options(first_cells("Options")), options(first_cells("Options of `intensity bulk`"))
    assert len(of_files) > 20
    assert options(intensity("--help").stdout) == of_files
    assert own
    assert not own & of_files
    assert options(intensity("bulk", "--help").stdout) == own | (of_files - {"-0", "--null", "--follow-links"})


def test_every_column_is_in_the_manual() -> None:
    section = first_cells("Columns").partition("code |")[0].partition(" code \n")[0]
    assert [name for name in re.findall(r"`(\w+)`", section) if name in BASE_COLUMNS] == BASE_COLUMNS


def test_the_table_for_athena_has_the_columns_and_types_of_parquet() -> None:
    runs = (Path(__file__).parents[2] / "docs/runs.md").read_text()
    types = {"VARCHAR": "string", "DOUBLE": "double", "BIGINT": "bigint"}
    table = re.search(r"CREATE EXTERNAL TABLE \w+ \((.*?)\)", runs, re.DOTALL)
    assert table
    expected = [f"{column.name} {types[column.parquet_type]}" for column in rows.BASE_COLUMNS]
    assert [" ".join(column.split()) for column in table[1].split(",")] == expected


def test_every_code_is_in_the_manual() -> None:
    codes = {value for name, value in vars(rows).items() if name.isupper() and value == name.lower()}
    # Only an object has an encoding beside its content.
    of_objects = {code for code in codes if code.startswith("object_")} | {rows.UNSUPPORTED_ENCODING}
    assert set(re.findall(r"`(\w+)`", first_cells("Codes").partition("### ")[0])) == codes - of_objects
    section = MANUAL.partition("### Codes of objects\n")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == of_objects
    for error in MeasurementError.__subclasses__():
        assert f"`{error.code}`" in MANUAL


def test_every_exit_code_of_the_help_is_in_the_manual() -> None:
    in_help = re.search(r"exit codes: (.*)$", intensity("--help").stdout, re.DOTALL)
    assert in_help
    codes = set(re.findall(r"\d+", in_help[1]))
    assert codes == {"0", "1", "2", "130", "143"}
    assert codes <= set(re.findall(r"\d+", first_cells("Results, progress and exit codes")))
