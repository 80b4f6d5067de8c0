"""Rows as lines of text: for people, for `cut`, for spreadsheets and for `jq`. No row has a line break in it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

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


@dataclass(frozen=True, slots=True)
class Lines:
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
    wanted = only or columns(full=full)
    names = [column.name for column in wanted]
    if layout == "jsonl":
        return Lines("", partial(json_line, full=full))
    if layout == "json":
        return Lines("[\n", partial(json_line, full=full), ",", "]\n")
    if layout == "csv":
        return Lines(csv_line(names), lambda row: csv_line(cells(row, wanted, full=full)))
    if layout == "tsv":
        return Lines(tsv_line(names), lambda row: tsv_line(cells(row, wanted, full=full)))
    return Lines(TABLE_HEAD, partial(table_line, colors=colors)) if layout == "table" else Lines("", lambda _: "")


def json_line(row: Row, *, full: bool) -> str:
    """Return a row as one JSON object. Numbers are as Python's `repr` writes them: exact to the last bit."""
    return json.dumps(row.values(full=full), ensure_ascii=False) + "\n"


def cells(row: Row, wanted: Sequence[Column], *, full: bool) -> list[str]:
    """Return the cells of a row."""
    values = row.values(full=full)
    return [cell(column.value(values)) for column in wanted]


def cell(value: Any) -> str:  # noqa: ANN401 - of any column
    """Return one value as text: nothing for None, a list or an object as JSON, a number exact to the last bit."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) else json.dumps(value)


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
    if row.average_intensity is None or row.image_size is None:
        why = f"{reason(row.code or '', row.detail or ''):<21}"
        return f"{'-':>7}  {f'{RED}{why}{PLAIN}' if colors else why}  {row.path}\n"
    size = "{} x {}".format(*row.image_size)
    return f"{row.average_intensity:7.2f}  {size:>13}  {row.original_mode:<6}  {row.path}\n"
