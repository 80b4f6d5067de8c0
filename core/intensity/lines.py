"""Rows as lines of text: for people, for `cut`, for spreadsheets and for `jq`. No row has a line break in it."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from intensity.rows import columns
from intensity.summary import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intensity.rows import Column, Row

Layout = Literal["table", "tsv", "csv", "jsonl", "json", "none"]
TABLE_HEAD = f"{'average':>7}  {'size':>13}  {'mode':<6}  path\n"
# With this mark, Excel reads UTF-8.
BOM = "\ufeff"
RED, PLAIN = "\x1b[31m", "\x1b[0m"


class Lines(NamedTuple):
    """How rows are written in one layout.

    head: the lines before the first row. line: one row, with its line feed. between, tail: what JSON has between rows,
    and behind the last.
    """

    head: str
    line: Callable[[Row], str]
    between: str = ""
    tail: str = ""


def lines(layout: Layout, *, full: bool, only: Sequence[Column] = (), colors: bool = False) -> Lines:
    """Return how `layout` writes rows, with `full` or usual detail. only: these columns, if any."""
    if layout == "table":
        return Lines(TABLE_HEAD, partial(table_line, colors=colors))
    if layout == "jsonl":
        return Lines("", json_line)
    if layout == "json":
        return Lines("[\n", json_line, ",", "]\n")
    if layout == "none":
        return Lines("", lambda _: "")
    wanted, line = only or columns(full=full), csv_line if layout == "csv" else tsv_line
    return Lines(line([column.name for column in wanted]), lambda row: line(cells(row, wanted)))


def json_line(row: Row) -> str:
    """Return a row as one JSON object. Numbers are as Python's `repr` writes them: exact to the last bit."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def cells(row: Row, wanted: Sequence[Column]) -> list[str]:
    return [cell(column.value(row)) for column in wanted]


def cell(value: Any) -> str:  # noqa: ANN401 - of any column
    """Return one value as text: nothing for None, a list or an object as JSON, a number exact to the last bit."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def csv_line(values: Sequence[str]) -> str:
    """Return cells as a line of CSV (RFC 4180, but with a line feed alone: `cut` would keep a carriage return)."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def tsv_line(values: Sequence[str]) -> str:
    """Return cells with tabs between them. Nothing needs quotes: no cell has a tab or begins with a quotation mark."""
    return "\t".join(values) + "\n"


def table_line(row: Row, *, colors: bool) -> str:
    """Return a row for people: the average rounded, or in a few words why there is none."""
    if row["code"]:
        why = f"{reason(row['code'], row['detail']):<21}"
        return f"{'-':>7}  {f'{RED}{why}{PLAIN}' if colors else why}  {row['path']}\n"
    size = "{} x {}".format(*row["image_size"])
    return f"{row['average_intensity']:7.2f}  {size:>13}  {row['original_mode']:<6}  {row['path']}\n"
