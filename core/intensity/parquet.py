"""Parquet files are written as a whole: DuckDB makes them from JSON lines, and makes JSON lines of them again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from intensity.lines import json_line
from intensity.rows import nested, parquet_columns
from intensity.writing import OutputError, ResumeError, replacing

ROWS_AT_A_TIME = 1000
# Both limit the memory: each thread collects a group of rows before it writes them.
GROUP_ROWS = 10_240
SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
# The longest row that is read; one with full detail has some thousand bytes, and a path adds at most 20,000.
LONGEST_ROW = 1_000_000


def pack(journal: Path, file: Path, *, full: bool) -> None:
    """Make `file` from `journal`, in one step. Raises OutputError."""
    columns = parquet_columns(full=full)
    places = ", ".join(_text(column.json_path) for column in columns)
    cells = ", ".join(f'CAST(cells[{n}] AS {each.parquet_type}) AS "{each.name}"' for n, each in enumerate(columns, 1))
    reading = f"read_ndjson_objects({_file(journal)}, maximum_object_size = {LONGEST_ROW})"
    rows = f"SELECT json_extract_string(json, [{places}]) AS cells FROM {reading}"  # noqa: S608 - quoted throughout
    writing = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS}"
    try:
        with TemporaryDirectory(dir=file.parent, prefix=f"{file.name}.") as folder:
            part = Path(folder) / file.name
            with closing(duckdb.connect(config=SETTINGS)) as database:
                database.execute(f"COPY (SELECT {cells} FROM ({rows})) TO {_text(str(part))} ({writing})")  # noqa: S608
            part.replace(file)
    except (duckdb.Error, OSError) as error:
        raise OutputError(f"cannot write {file}: {_first_line(error)}") from error


def unpack(file: Path, journal: Path, *, full: bool) -> None:
    """Make a journal from `file`, so that a finished run can be resumed. Raises ResumeError."""
    columns = parquet_columns(full=full)
    try:
        with closing(duckdb.connect(config=SETTINGS)) as database, replacing(journal) as lines:
            found = database.execute(f"SELECT * FROM read_parquet({_file(file)})")  # noqa: S608 - quoted
            if [name for name, *_ in found.description or ()] != [column.name for column in columns]:
                raise ResumeError("it has other columns than this run would write; see --detail")
            while rows := found.fetchmany(ROWS_AT_A_TIME):
                lines.writelines(json_line(nested(columns, row)).encode() for row in rows)
    except (duckdb.Error, OSError) as error:
        raise ResumeError(f"cannot read {file}: {_first_line(error)}") from error


def _file(file: Path) -> str:
    """Return a file's name as a text of SQL: a pattern that matches only this file, because DuckDB reads patterns."""
    return _text("".join(f"[{character}]" if character in "*?[" else character for character in str(file.resolve())))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
