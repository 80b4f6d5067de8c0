"""Resuming an earlier run: which files have a row already, and whether that row may stay beside new ones."""

from __future__ import annotations

import csv
import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from intensity import names
from intensity.lines import BOM, lines
from intensity.rows import METHOD, columns
from intensity.writing import ResumeError, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from intensity.given import Given
    from intensity.plan import Plan
    from intensity.rows import Method
    from intensity.summary import Counts


def take_up(file: Path, given: Given, method: Method, plan: Plan, counts: Counts) -> None:
    """Mark the files in `plan` that have a row in `file`, count those rows, and remove a torn last line.

    With --retry-problems, remove the rows of planned files that have a problem, so that they are measured again. This
    replaces the file in one step: a run that is killed meanwhile leaves the old one.
    Raises ResumeError when the file has rows of another form, or lines that are no rows; and OSError.
    """
    whole, retry = 0, given.retry_problems
    with replacing(file) if retry else nullcontext() as new:
        for line, row in _rows(file, given, method):
            whole += len(line)
            if retry and row and row["code"] and plan.has(row["name"]):
                continue
            if row and plan.settle(row["name"]):
                counts.add(row["path"], row["code"], row["detail"], before=True)
            elif row:
                counts.foreign += 1
            if new:
                new.write(line)
    if not retry:
        os.truncate(file, whole)


def _rows(file: Path, given: Given, method: Method) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each whole line and what it says; the head says nothing. Raises ResumeError."""
    head, other = (lines(given.layout, full=full).head.encode() for full in (given.full, not given.full))
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if not line.endswith(b"\n"):
                return
            if number == 1 and head:
                found = line.removeprefix(BOM.encode())
                if found != head:
                    raise ResumeError(_other_detail(given) if found == other else "it does not begin with our columns")
                yield line, {}
                continue
            try:
                yield line, _parsed(line, given, method)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ResumeError(f"line {number} is not a row of results") from error


def _parsed(line: bytes, given: Given, method: Method) -> dict[str, Any]:
    """Read a line. Raises ValueError, KeyError, TypeError or AttributeError if it is not a row; ResumeError."""
    if given.layout == "csv":
        (cells,) = csv.reader([line.decode()], strict=True)
        row = dict(zip((column.name for column in columns(full=given.full)), cells, strict=True))
    else:
        row = json.loads(line)
        if ("measurement" in row) != given.full:
            raise ResumeError(_other_detail(given))
    # CSV has no None: the region of whole images is empty there.
    values = {name: row[name] or None for name in ("code", "detail", *METHOD)}
    others = [
        f"{name} {values[name] or 'none'} (this run: {ours or 'none'})"
        for name, ours in method.values().items()
        if values[name] != ours
    ]
    if others:
        raise ResumeError(f"its rows were measured with {', '.join(others)}")
    return {"name": names.read(row["path"]), "path": row["path"], **values}


def _other_detail(given: Given) -> str:
    return f"it was written {'without' if given.full else 'with'} --detail full"
