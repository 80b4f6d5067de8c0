"""The Lambda function that ends a run: it walks the plan and writes exactly one row for each object in it.

An object without a row in any part gets one that says so. If there are not as many rows as objects, the run fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from intensity import names
from intensity.lines import cells, csv_line, json_line
from intensity.parquet import pack
from intensity.rows import PROCESSOR_FAILED, Method, columns, problem_row
from intensity.runs.estimate import cost_of
from intensity.runs.layout import DESCRIPTION, RESULTS, SUMMARY, Layout
from intensity.runs.options import RunOptions
from intensity.runs.stored import get_json
from runs.batches import read_entry
from runs.parts import Parts
from runs.storage import configuration, log
from runs.sums import sums_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CopySourceTypeDef

    from runs.parts import FoundPart

NO_ROW = "The function that measures stopped at this object: it crashed, or took too long."


class RowsMissingError(Exception):
    """There are not as many rows as objects. This is a fault of ours, and there are no results."""


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Write the results of a run. Return its sums, without anything of an object."""
    with tempfile.TemporaryDirectory() as folder:
        s3 = boto3.client("s3", config=configuration())
        summary = write_results(s3, os.environ["RESULTS_BUCKET"], event, Path(folder))
    log("reduce", run=event["run"], rows=summary["total"], measured=summary["measured"])
    return {name: summary[name] for name in ("run", "total", "measured", "problems")}


def write_results(s3: S3Client, bucket: str, event: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write all results, and last the sums. Return these. Raises RowsMissingError.

    event: what Plan has returned. folder: empty, for the results before they are in S3.
    """
    layout, options = Layout(event["run"]), RunOptions.read(event["options"])
    jsonl, table, parquet = (folder / name for name in RESULTS)
    parts = Parts(s3, bucket, layout.run, event["method"]).walk(folder / "plan")
    seconds = write_rows(parts, options, event["version"], jsonl, table)
    pack(jsonl, parquet, full=options.full)
    sums = sums_of(parquet)
    if sums["total"] != event["listed"]:
        raise RowsMissingError(f"{sums['total']} rows for {event['listed']} objects")
    files = {name: described(folder / name) for name in RESULTS}
    for name in RESULTS:
        s3.upload_file(str(folder / name), bucket, layout.result(name))
    parquet_object: CopySourceTypeDef = {"Bucket": bucket, "Key": layout.result("results.parquet")}
    s3.copy(parquet_object, bucket, layout.result("rows/results.parquet"))
    planned = get_json(s3, bucket, layout.result(DESCRIPTION)) or {}
    summary = {
        **{name: event[name] for name in ("run", "execution", "version", "method", "options")},
        **sums,
        "reused": planned.get("reused", 0),
        "not_taken": planned.get("skipped", {}),
        "started": planned.get("started"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        # Of all invocations that wrote rows, without crashes, Plan and Reduce.
        "function_seconds": round(seconds, 3),
        "usd": round(cost_of(seconds, sums["total"]), 4),
        "files": files,
    }
    s3.put_object(Bucket=bucket, Key=layout.result(SUMMARY), Body=json.dumps(summary, indent=1).encode())
    return summary


def write_rows(parts: Iterable[FoundPart], options: RunOptions, version: str, jsonl: Path, table: Path) -> float:
    """Write the rows as JSON lines and as CSV, in the order of the plan. Return the seconds that they took."""
    wanted, method, seconds = columns(full=options.full), Method(options.measuring, version), 0.0
    with jsonl.open("wb") as lines, table.open("w", encoding="utf-8", newline="") as csv:
        csv.write(csv_line([column.name for column in wanted]))
        for part in parts:
            seconds += part.seconds
            for entry in part.batch["objects"]:
                if (found := part.rows.get(entry["i"])) is None:
                    name = names.written(read_entry(entry).name)
                    values = problem_row(name, PROCESSOR_FAILED, NO_ROW, method, full=options.full)
                    line = json_line(values).encode()
                else:
                    line, values = found
                lines.write(line)
                csv.write(csv_line(cells(values, wanted)))
    return seconds


def described(file: Path) -> dict[str, Any]:
    """Return the size and the checksum of a file, for those who fetch it."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}
