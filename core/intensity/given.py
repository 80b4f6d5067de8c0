"""What a command line of `intensity` or `intensity bulk` says."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from image_intensity import OPTIONS, ImageFormat, Limits, Options
from intensity.rows import columns
from intensity.writing import STANDARD_OUTPUT

if TYPE_CHECKING:
    from pathlib import Path

    from intensity.lines import Layout
    from intensity.progress import Kind
    from intensity.rows import Column

# Decoding takes this many bytes for a pixel at the default limits, 1.45 GB for 200 million pixels.
DECODED_BYTES_PER_PIXEL = 7.25


class Given(argparse.Namespace):
    """What a command line says: `cli.options` has the help of each. Some are of files only, some of objects."""

    paths: list[str]
    name_list: str | None
    null: bool
    follow_links: bool
    prefixes: list[str]
    lists: list[str]
    inventories: list[str]
    url_encoded: bool
    include: list[str]
    exclude: list[str]
    hidden: bool
    all_versions: bool = False
    endpoint_url: str | None
    profile: str | None
    anonymous: bool
    formats: tuple[ImageFormat, ...]
    max_pixels: int | None
    max_bytes: int
    output: Path | None
    format: Layout | None
    excel: bool
    detail: str | None
    only: tuple[Column, ...]
    sort: Column | None
    reverse: bool
    problems_only: bool
    summary: bool
    resume: bool
    retry_problems: bool
    force: bool
    dry_run: bool
    processes: int | None
    timeout: float
    quiet: bool
    progress: Kind

    @property
    def options(self) -> Options:
        return Options(**{name: getattr(self, name) for name in OPTIONS})

    @property
    def limits(self) -> Limits:
        usual = Limits(formats=self.formats)
        if not self.max_pixels:
            return usual
        memory = max(usual.max_decoded_bytes, int(self.max_pixels * DECODED_BYTES_PER_PIXEL))
        return Limits(formats=self.formats, max_pixels=self.max_pixels, max_decoded_bytes=memory)

    @property
    def full(self) -> bool:
        return self.detail == "full"

    @property
    def suffix(self) -> str:
        return self.output.suffix.lower() if self.output else ""

    @property
    def parquet(self) -> bool:
        return self.suffix == ".parquet"

    @property
    def layout(self) -> Layout:
        """The form of the lines on standard output, or in `output` unless that is Parquet."""
        if self.output:
            # Until a Parquet file can be made, its rows are JSON lines.
            by_name: dict[str, Layout] = {".csv": "csv", ".json": "json"}
            return by_name.get(self.suffix, "jsonl")
        if self.summary:
            return "none"
        if self.format or self.excel:
            return self.format or "csv"
        return "table" if os.isatty(STANDARD_OUTPUT) and not self.only else "tsv"

    @property
    def colors(self) -> bool:
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return os.isatty(STANDARD_OUTPUT) and not plain

    @property
    def resumable(self) -> bool:
        return self.output is not None and not (self.suffix == ".json" or self.only or self.problems_only)

    def contradictions(self) -> list[str]:
        """Return a sentence for each thing that cannot be."""
        continues = self.resume or self.retry_problems
        others = {
            "--columns": self.only,
            "--sort": self.sort,
            "--problems-only": self.problems_only,
            "--summary": self.summary,
            "--dry-run": self.dry_run,
            "-o FILE.json": self.suffix == ".json",
            "--force": self.force,
        }
        not_resumed = [name for name, is_given in others.items() if is_given]
        detailed = {*columns(full=True)} - {*columns(full=False)}
        more = [each.name for each in (*self.only, *filter(None, [self.sort])) if each in detailed]
        sentences = {
            "--format is for standard output; the end of the name of -o FILE decides how FILE is written": self.format
            and self.output,
            "--resume and --retry-problems need -o FILE": continues and not self.output,
            f"--resume cannot go with {' or '.join(not_resumed)}": continues and not_resumed,
            "--force is for -o FILE": self.force and not self.output,
            "--detail full does not fit into the table; use --format jsonl, tsv or csv, or -o FILE": self.full
            and self.layout == "table",
            "--columns is for CSV and lines with tabs": self.only and self.layout not in {"csv", "tsv"},
            "--excel is for CSV": self.excel and self.layout != "csv",
            "--reverse is for --sort COLUMN": self.reverse and not self.sort,
            f"{', '.join(more)}: these columns need --detail full": more and not self.full,
        }
        return [sentence for sentence, applies in sentences.items() if applies]
