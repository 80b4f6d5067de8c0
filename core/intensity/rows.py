"""One row of results: the measurement of one file under the API's names, or the reason why there is none.

This module knows nothing of the file system. Rows of other sources, for example of a bucket, are made the same way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

from image_intensity import DECODERS, OPTIONS, Statistics, algorithm, version
from image_intensity.measurement import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from image_intensity import Measurement, Options

# Problems of files, objects and processes. Those of images are in `image_intensity.errors`.
FILE_MISSING = "file_missing"
FILE_UNREADABLE = "file_unreadable"
NOT_A_FILE = "not_a_file"
FILE_CHANGED = "file_changed"
FILE_TOO_LARGE = "file_too_large"
OBJECT_MISSING = "object_missing"
OBJECT_CHANGED = "object_changed"
OBJECT_FORBIDDEN = "object_forbidden"
OBJECT_ARCHIVED = "object_archived"
UNSUPPORTED_ENCODING = "unsupported_encoding"
PROCESSOR_FAILED = "processor_failed"
PROCESSOR_TIMEOUT = "processor_timeout"


class Method(NamedTuple):
    """How a row was measured, or should have been. Rows with different methods must not be mixed.

    version: of the algorithm and the decoders, as `image_intensity.version` writes it.
    """

    options: Options
    version: str

    def values(self) -> dict[str, str | None]:
        """Return it as rows have it."""
        return {**self.options.texts(), "version": self.version}


METHOD = (*OPTIONS, "version")


def installed_method(options: Options) -> Method:
    """Return the method of this installation. It finds the versions without loading the decoders."""
    decoders = {name: metadata.version(name) for name in DECODERS}
    return Method(options, version(algorithm(options), decoders))


# A row as JSON. Either the values of the API are there, or `code` and `detail` say why not; `image_size_bytes` and
# `sha256` are there once the file was read.
Row = dict[str, Any]
MEASURED = ("average_intensity", "image_size", "original_mode", "pixel_count", "image_size_bytes")
DETAILS = ("statistics", "histogram", "measurement")


def measured_row(path: str, measurement: Measurement, sha256: str, method: Method, *, full: bool) -> Row:
    """Return the row of a file. path: its name as `names.written` writes it."""
    values = {name: getattr(measurement, name) for name in MEASURED}
    if full:
        statistics, told = asdict(measurement.statistics), measurement.method(sha256)
        values |= {"statistics": statistics, "histogram": measurement.histogram, "measurement": told}
    return _row(path, method, full=full, sha256=sha256, **values)


def problem_row(path: str, code: str, detail: str, method: Method, *, full: bool, **known: Any) -> Row:  # noqa: ANN401 - any field
    """Return the row of a file that has no number. `known`: `image_size_bytes` and `sha256`, if it was read."""
    return _row(path, method, full=full, code=code, detail=" ".join(detail.split()), **known)


def _row(path: str, method: Method, *, full: bool, **known: Any) -> Row:  # noqa: ANN401 - any field
    fields = dict.fromkeys((*MEASURED, "sha256", "code", "detail"))
    return {"path": path, **fields, **method.values(), **dict.fromkeys(DETAILS if full else ()), **known}


class Column(NamedTuple):
    """A column of a table: its name, where the value is in the row's JSON object, and its type in Parquet."""

    name: str
    place: tuple[str | int, ...]
    parquet_type: str = "DOUBLE"

    def value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any column
        """Return the value in `values`, the row as a JSON object; None if there is none."""
        found: Any = values
        for step in self.place:
            if found is None:
                return None
            found = found[step]
        return found

    @property
    def json_path(self) -> str:
        """The place as SQL has it."""
        return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in self.place)


BASE_COLUMNS = (
    Column("path", ("path",), "VARCHAR"),
    Column("average_intensity", ("average_intensity",)),
    Column("width", ("image_size", 0), "BIGINT"),
    Column("height", ("image_size", 1), "BIGINT"),
    Column("original_mode", ("original_mode",), "VARCHAR"),
    Column("pixel_count", ("pixel_count",), "BIGINT"),
    Column("image_size_bytes", ("image_size_bytes",), "BIGINT"),
    *(Column(name, (name,), "VARCHAR") for name in ("sha256", "code", "detail", *METHOD)),
)


def _statistic_columns(name: str) -> tuple[Column, ...]:
    """Return the column of a field of `Statistics`, or a column for each percentile."""
    if name != "percentiles":
        return (Column(name, ("statistics", name)),)
    return tuple(Column(f"percentile_{share}", ("statistics", name, str(share))) for share in PERCENTILES)


DETAIL_COLUMNS = (
    *(column for field in fields(Statistics) for column in _statistic_columns(field.name)),
    Column("algorithm", ("measurement", "algorithm"), "VARCHAR"),
    Column("luma_weights", ("measurement", "luma_weights"), "DOUBLE[]"),
    Column("scale", ("measurement", "scale"), "BIGINT[]"),
    *(Column(name, ("measurement", name), "BIGINT") for name in ("bit_depth", "stored_bit_depth", "frame", "frames")),
    Column("decoders", ("measurement", "decoders"), "JSON"),
)
HISTOGRAM = Column("histogram", ("histogram",), "BIGINT[]")


def columns(*, full: bool) -> tuple[Column, ...]:
    """Return the columns of a table. The histogram is not one of them: a list does not fit in a cell."""
    return BASE_COLUMNS + DETAIL_COLUMNS if full else BASE_COLUMNS


def parquet_columns(*, full: bool) -> tuple[Column, ...]:
    """Return the columns of a Parquet file. They and their types do not depend on the rows."""
    return (*columns(full=full), HISTOGRAM) if full else BASE_COLUMNS


def nested(columns: Iterable[Column], cells: Iterable[Any]) -> dict[str, Any]:
    """Return the JSON object of a row of Parquet: `Column.value` the other way round."""
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        *way, last = column.place
        inner = values
        for step in way:
            inner = inner.setdefault(str(step), {})
        inner[str(last)] = json.loads(cell) if cell and column.parquet_type == "JSON" else cell
    measured = values["code"] is None
    values["image_size"] = list(values["image_size"].values()) if measured else None
    if "measurement" in values and measured:
        values["measurement"] |= {name: values[name] for name in (*OPTIONS, "sha256")}
    elif "measurement" in values:
        values.update(statistics=None, measurement=None)
    return values
