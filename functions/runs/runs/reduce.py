"""The Lambda function that ends a run: it walks the plan and writes exactly one row for each object in it.

An object without a row in any part gets one that says so. If there are not as many rows as objects, the run fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from intensity import names
from intensity.lines import cell, csv_line, json_line
from intensity.parquet import pack
from intensity.rows import PROCESSOR_FAILED, columns, problem_row
from intensity.runs.layout import RESULTS, SUMMARY, Layout
from intensity.runs.options import RunOptions
from intensity.runs.stored import get_json
from runs.batches import read_entry
from runs.parts import Parts
from runs.storage import configuration, log
from runs.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CopySourceTypeDef

NO_ROW = "The function that measures stopped at this object: it crashed, or took too long."


class RowsMissingError(Exception):
    """There are not as many rows as objects. This is a fault of ours, and there are no results."""


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Write the results of a run. Return its sums, without anything of an object."""
    with tempfile.TemporaryDirectory() as folder:
        s3 = boto3.client("s3", config=configuration())
        summary = Reduction(s3, os.environ["RESULTS_BUCKET"], event, Path(folder)).all()
    log("reduce", run=event["run"], rows=summary["total"], measured=summary["measured"])
    return {name: summary[name] for name in ("run", "total", "measured", "problems")}


@dataclass(frozen=True, slots=True)
class Reduction:
    """The end of one execution. event: what Plan has returned. folder: empty, for the results before they are in S3."""

    s3: S3Client
    bucket: str
    event: Mapping[str, Any]
    folder: Path

    def all(self) -> dict[str, Any]:
        """Write all results, and last the sums. Return these. Raises RowsMissingError."""
        layout, sums = Layout(self.event["run"]), Sums()
        options = RunOptions.read(self.event["options"])
        jsonl, table, parquet = (self.folder / name for name in RESULTS)
        self._write_rows(layout, options, jsonl, table, sums)
        if sums.total != self.event["listed"]:
            raise RowsMissingError(f"{sums.total} rows for {self.event['listed']} objects")
        pack(jsonl, parquet, full=options.full)
        files = {name: described(self.folder / name) for name in RESULTS}
        for name in RESULTS:
            self.s3.upload_file(str(self.folder / name), self.bucket, layout.result(name))
        parquet_object: CopySourceTypeDef = {"Bucket": self.bucket, "Key": layout.result("results.parquet")}
        self.s3.copy(parquet_object, self.bucket, layout.result("rows/results.parquet"))
        summary = {
            **{name: self.event[name] for name in ("run", "execution", "version", "method", "options")},
            **sums.values(get_json(self.s3, self.bucket, layout.description) or {}),
            "files": files,
        }
        body = json.dumps(summary, indent=1).encode()
        self.s3.put_object(Bucket=self.bucket, Key=layout.result(SUMMARY), Body=body)
        return summary

    def _write_rows(self, layout: Layout, options: RunOptions, jsonl: Path, table: Path, sums: Sums) -> None:
        """Write the rows as JSON lines and as CSV, in the order of the plan."""
        plan, wanted = self.folder / "plan", columns(full=options.full)
        method = options.method(self.event["version"])
        self.s3.download_file(self.bucket, layout.plan, str(plan))
        with jsonl.open("wb") as lines, table.open("w", encoding="utf-8", newline="") as cells:
            cells.write(csv_line([column.name for column in wanted]))
            for part in Parts(self.s3, self.bucket, layout.run, self.event["method"]).walk(plan):
                for head in part.heads:
                    sums.add_head(head)
                for entry in part.batch["objects"]:
                    if (found := part.rows.get(entry["i"])) is None:
                        name = names.written(read_entry(entry).name)
                        missing = problem_row(name, PROCESSOR_FAILED, NO_ROW, method)
                        line, values = json_line(missing, full=options.full).encode(), missing.values(full=options.full)
                    else:
                        line, values = found
                    lines.write(line)
                    cells.write(csv_line([cell(column.value(values)) for column in wanted]))
                    sums.add_row(values)


def described(file: Path) -> dict[str, Any]:
    """Return the size and the checksum of a file, for those who fetch it."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}
