"""Parquet files can only be written as a whole. DuckDB makes them at the end, from a journal of JSON lines."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb

from image_intensity import OPTIONS
from intensity.rows import BASE_COLUMNS, DETAIL_COLUMNS, DETAIL_FIELDS, HISTOGRAM, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ROWS_AT_A_TIME = 1000
# Both limit the memory: each thread collects a group of rows before it writes them.
GROUP_ROWS = 10_240
SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
# The longest row that is read; one with full detail has some thousand bytes, and a path adds at most 20,000.
LONGEST_ROW = 1_000_000


class ParquetError(Exception):
    """The Parquet file cannot be written or read."""


def journal_of(file: Path) -> Path:
    """Return the file that has the rows until the Parquet file is made."""
    return file.with_name(f"{file.name}.partial.jsonl")


def parquet_columns(*, full: bool) -> tuple[Column, ...]:
    """Return the columns of the file. They and their types do not depend on the rows."""
    return (*BASE_COLUMNS, *DETAIL_COLUMNS, HISTOGRAM) if full else BASE_COLUMNS


def pack(journal: Path, file: Path, *, full: bool) -> None:
    """Make `file` from `journal`. It has another name until it is complete. Raises ParquetError."""
    columns = parquet_columns(full=full)
    part = file.with_name(f"{file.name}.partial")
    selected = ", ".join(f"{_expression(column)} AS {_quoted(column.name)}" for column in columns)
    reading = f"format = 'newline_delimited', maximum_object_size = {LONGEST_ROW}, columns = {_types(columns)}"
    writing = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS}"
    rows = f"SELECT {selected} FROM read_json({_text(_pattern(journal))}, {reading})"  # noqa: S608 - quoted throughout
    query = f"COPY ({rows}) TO {_text(str(part))} ({writing})"
    try:
        with closing(duckdb.connect(config=SETTINGS)) as database:
            database.execute(query)
        part.replace(file)
    except (duckdb.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise ParquetError(f"cannot write {file}: {_first_line(error)}") from error


def unpack(file: Path, journal: Path, *, full: bool) -> None:
    """Make a journal from `file`, so that a finished run can be resumed. Raises ParquetError."""
    part = journal.with_name(f"{journal.name}.new")
    try:
        with closing(duckdb.connect(config=SETTINGS)) as database, part.open("w", encoding="utf-8") as lines:
            found = database.execute(f"SELECT * FROM read_parquet({_text(_pattern(file))})")  # noqa: S608 - as above
            columns = parquet_columns(full=full)
            if [name for name, *_ in found.description or ()] != [column.name for column in columns]:
                raise ParquetError(f"{file} has other columns than this run would write; see --detail")
            while rows := found.fetchmany(ROWS_AT_A_TIME):
                lines.writelines(_line(columns, row) for row in rows)
        part.replace(journal)
    except (duckdb.Error, OSError) as error:
        raise ParquetError(f"cannot read {file}: {_first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _line(columns: Sequence[Column], cells: Sequence[Any]) -> str:
    """Return the line of the journal that has these cells."""
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        *way, last = column.place
        inner: dict[str | int, Any] = values  # type: ignore[assignment] # the first step is a name
        for step in way:
            inner = inner.setdefault(step, {})
        inner[last] = json.loads(cell) if column.parquet_type == "JSON" and cell else cell
    values["image_size"] = list(values["image_size"].values()) if values["code"] is None else None
    if "measurement" in values:
        values["measurement"] |= {name: values[name] for name in (*OPTIONS, "sha256")}
        values |= dict.fromkeys(DETAIL_FIELDS) if values["code"] else {}
    return json.dumps(values, ensure_ascii=False) + "\n"


def _types(columns: Iterable[Column]) -> str:
    """Return the types of the journal's fields, for DuckDB's `read_json`."""
    types: dict[str, Any] = {}
    for column in columns:
        inner = types
        for step in column.place[:-1]:
            inner = inner.setdefault(str(step), {})
        if isinstance(column.place[-1], str):
            inner[column.place[-1]] = column.parquet_type
    types["image_size"] = "BIGINT[]"
    return "{" + ", ".join(f"{_text(name)}: {_text(_type(kind))}" for name, kind in types.items()) + "}"


def _type(kind: str | dict[str, Any]) -> str:
    """Return a type of DuckDB, with a STRUCT for an object."""
    if isinstance(kind, str):
        return kind
    return "STRUCT(" + ", ".join(f"{_quoted(name)} {_type(inner)}" for name, inner in kind.items()) + ")"


def _expression(column: Column) -> str:
    """Return the SQL for a column's value in the journal. DuckDB counts the items of a list from 1."""
    first, *rest = column.place
    steps = (f"[{step + 1}]" if isinstance(step, int) else f".{_quoted(step)}" for step in rest)
    place = _quoted(str(first)) + "".join(steps)
    return f"CAST({place} AS VARCHAR)" if column.parquet_type == "JSON" else place


def _pattern(file: Path) -> str:
    """Return a pattern that matches only this file, because DuckDB reads names as patterns."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(file.resolve()))


def _quoted(name: str) -> str:
    """Return a quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    """Return a quoted SQL text."""
    return "'" + value.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    """Return the error in one line."""
    return str(error).partition("\n")[0]
