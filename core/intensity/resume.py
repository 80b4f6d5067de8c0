"""Resuming an earlier run: which files have a row already, and whether that row may stay beside new ones."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from intensity import names
from intensity.lines import lines
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

    path: str
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
    whole = _whole_bytes(file, form)
    if retry:
        with _replacement(file) as new:
            for line, saved in _rows(file, form, whole):
                if saved and saved.code and plan.has(names.read(saved.path)):
                    continue
                new.write(line)
                if saved:
                    _keep(saved, plan, counts)
        return
    for _, saved in _rows(file, form, whole):
        if saved:
            _keep(saved, plan, counts)
    os.truncate(file, whole)


def _keep(saved: Saved, plan: Plan, counts: Counts) -> None:
    if plan.settle(names.read(saved.path)):
        counts.add(saved.path, saved.code, saved.detail, before=True)
    else:
        counts.foreign += 1


def _whole_bytes(file: Path, form: Form) -> int:
    """Return how many bytes of the file are whole lines. Raises ResumeError if the head differs."""
    head = lines(form.layout, full=form.full).head.encode()
    with file.open("rb") as opened:
        first = opened.readline()
        if not first.endswith(b"\n"):
            return 0
        if head and first != head:
            other = lines(form.layout, full=not form.full).head.encode()
            raise ResumeError(_other_detail(form) if first == other else "its first line is not the head of a table")
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        return size - _torn_bytes(opened, size)


def _torn_bytes(opened: IO[bytes], size: int) -> int:
    """Return the number of bytes after the last line feed."""
    end = size
    while end > 0:
        start = max(0, end - 65_536)
        opened.seek(start)
        found = opened.read(end - start).rfind(b"\n")
        if found >= 0:
            return size - (start + found + 1)
        end = start
    return size


def _rows(file: Path, form: Form, whole: int) -> Iterator[tuple[bytes, Saved | None]]:
    """Yield each whole line and what is in it: None for the head. Raises ResumeError."""
    left = whole
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            left -= len(line)
            if left < 0:
                return
            if number == 1 and lines(form.layout, full=form.full).head:
                yield line, None
                continue
            try:
                saved = _parsed(line, form)
                names.read(saved.path)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ResumeError(f"line {number} is not a row of results") from error
            if saved.method != form.method.values():
                raise ResumeError(_other_method(saved.method, form.method.values()))
            yield line, saved


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
    return Saved(values["path"], values["code"] or None, values["detail"] or None, method)


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
