"""Parquet files are written as a whole: DuckDB makes them from JSON lines, and makes JSON lines of them again."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from intensity.rows import nested, parquet_columns

if TYPE_CHECKING:
    from pathlib import Path

ROWS_AT_A_TIME = 1000
# Both limit the memory: each thread collects a group of rows before it writes them.
GROUP_ROWS = 10_240
SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
# The longest row that is read; one with full detail has some thousand bytes, and a path adds at most 20,000.
LONGEST_ROW = 1_000_000


class ParquetError(Exception):
    """The Parquet file cannot be written or read."""


def pack(journal: Path, file: Path, *, full: bool) -> None:
    """Make `file` from `journal`. It has another name until it is complete. Raises ParquetError."""
    part, columns = file.with_name(f"{file.name}.partial"), parquet_columns(full=full)
    places = ", ".join(_text(column.json_path) for column in columns)
    cells = ", ".join(f'CAST(cells[{n}] AS {each.parquet_type}) AS "{each.name}"' for n, each in enumerate(columns, 1))
    reading = f"read_ndjson_objects({_file(journal)}, maximum_object_size = {LONGEST_ROW})"
    rows = f"SELECT json_extract_string(json, [{places}]) AS cells FROM {reading}"  # noqa: S608 - quoted throughout
    writing = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS}"
    try:
        with closing(duckdb.connect(config=SETTINGS)) as database:
            database.execute(f"COPY (SELECT {cells} FROM ({rows})) TO {_text(str(part))} ({writing})")  # noqa: S608
        part.replace(file)
    except (duckdb.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise ParquetError(f"cannot write {file}: {_first_line(error)}") from error


def unpack(file: Path, journal: Path, *, full: bool) -> None:
    """Make a journal from `file`, so that a finished run can be resumed. Raises ParquetError."""
    part, columns = journal.with_name(f"{journal.name}.new"), parquet_columns(full=full)
    try:
        with closing(duckdb.connect(config=SETTINGS)) as database, part.open("w", encoding="utf-8") as lines:
            found = database.execute(f"SELECT * FROM read_parquet({_file(file)})")  # noqa: S608 - quoted
            if [name for name, *_ in found.description or ()] != [column.name for column in columns]:
                raise ParquetError(f"{file} has other columns than this run would write; see --detail")
            while rows := found.fetchmany(ROWS_AT_A_TIME):
                lines.writelines(f"{json.dumps(nested(columns, row), ensure_ascii=False)}\n" for row in rows)
        part.replace(journal)
    except (duckdb.Error, OSError) as error:
        raise ParquetError(f"cannot read {file}: {_first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _file(file: Path) -> str:
    """Return a file's name as a text of SQL: a pattern that matches only this file, because DuckDB reads patterns."""
    return _text("".join(f"[{character}]" if character in "*?[" else character for character in str(file.resolve())))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
