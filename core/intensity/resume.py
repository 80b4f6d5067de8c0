"""Resuming an earlier run: which files have a row already, and whether that row may stay beside new ones."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from intensity import names
from intensity.lines import BOM, lines
from intensity.rows import METHOD, columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intensity.lines import Layout
    from intensity.plan import Plan
    from intensity.rows import Method
    from intensity.summary import Counts


class ResumeError(Exception):
    """The file cannot be continued by this run."""


class Saved(NamedTuple):
    """The part of a row that resuming needs. method: as `rows.Method.values` has it, valid or not."""

    name: bytes
    code: str | None
    detail: str | None
    method: dict[str, str | None]


class Form(NamedTuple):
    """What must be the same in both runs, so that rows of both may be in one file."""

    layout: Layout
    full: bool
    method: Method


def take_up(file: Path, form: Form, plan: Plan, counts: Counts, *, retry: bool) -> None:
    """Mark the files in `plan` that have a row in `file`, count those rows, and remove a torn last line.

    retry: remove the rows of planned files that have a problem, so that they are measured again. This replaces the
    file in one step: a run that is killed meanwhile leaves the old one.
    Raises ResumeError when the file has rows of another form, or lines that are no rows; and OSError.
    """
    whole = 0
    with _replacement(file) if retry else nullcontext() as new:
        for line, saved in _rows(file, form):
            whole += len(line)
            if saved and not (retry and saved.code and plan.has(saved.name)):
                _keep(saved, plan, counts)
            elif saved:
                continue
            if new:
                new.write(line)
    if not retry:
        os.truncate(file, whole)


def _keep(saved: Saved, plan: Plan, counts: Counts) -> None:
    if plan.settle(saved.name):
        counts.add(names.written(saved.name), saved.code, saved.detail, before=True)
    else:
        counts.foreign += 1


def _rows(file: Path, form: Form) -> Iterator[tuple[bytes, Saved | None]]:
    """Yield each whole line and what is in it: None for the head. Raises ResumeError."""
    head = lines(form.layout, full=form.full).head.encode()
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            if not line.endswith(b"\n"):
                return
            if number == 1 and head:
                _check_head(line, form)
                yield line, None
                continue
            try:
                saved = _parsed(line, form)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ResumeError(f"line {number} is not a row of results") from error
            if saved.method != form.method.values():
                raise ResumeError(_other_method(saved.method, form.method.values()))
            yield line, saved


def _check_head(line: bytes, form: Form) -> None:
    """Raise ResumeError if the first line is not the head of this form."""
    ours, other = (lines(form.layout, full=full).head.encode() for full in (form.full, not form.full))
    line = line.removeprefix(BOM.encode())
    if line != ours:
        raise ResumeError(_other_detail(form) if line == other else "its first line is not the head of a table")


def _parsed(line: bytes, form: Form) -> Saved:
    """Read a line. Raises ValueError, KeyError, TypeError or AttributeError if it is not a row; ResumeError."""
    if form.layout == "csv":
        (cells,) = csv.reader([line.decode()], strict=True)
        values = dict(zip((column.name for column in columns(full=form.full)), cells, strict=True))
    else:
        values = json.loads(line)
        if ("measurement" in values) != form.full:
            raise ResumeError(_other_detail(form))
    # CSV has no None: the region of whole images is empty there.
    method = {name: values[name] or None for name in METHOD}
    return Saved(names.read(values["path"]), values["code"] or None, values["detail"] or None, method)


def _other_detail(form: Form) -> str:
    return f"it was written {'without' if form.full else 'with'} --detail full"


def _other_method(theirs: dict[str, str | None], ours: dict[str, str | None]) -> str:
    differences = [
        f"{name} {theirs[name] or 'none'} (this run: {ours[name] or 'none'})"
        for name in METHOD
        if theirs[name] != ours[name]
    ]
    return f"its rows were measured with {', '.join(differences)}"


@contextmanager
def _replacement(file: Path) -> Iterator[IO[bytes]]:
    """Yield a new file. It replaces `file` at the end of the block, or is removed if the block fails."""
    file = file.resolve()
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f"{file.name}.", delete=False) as new:
        try:
            yield new
            new.flush()
            os.fsync(new.fileno())
            shutil.copymode(file, new.name)
            Path(new.name).replace(file)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
