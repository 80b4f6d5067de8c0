"""A folder of real images, each under two names: every file has its row, with the API's number to the last bit."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.bench.command import SETS, fill
from tests.bench.images import CORPUS
from tests.cli.command import intensity, json_rows
from tests.support import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

FIELDS = ["average_intensity", "image_size", "original_mode", "pixel_count", "image_size_bytes"]


def test_500_real_images_have_500_rows_with_the_numbers_of_the_api(
    tmp_path: Path, serve: Callable[..., AbstractContextManager[str]]
) -> None:
    if not CORPUS.exists():
        missing(f"a corpus of real images in {CORPUS.name} (make corpus)")
    names = fill(tmp_path, *SETS["500 images of 20 to 500 KB"])
    assert len(names) == 500
    result = intensity(tmp_path, "-j", "2", "--format", "jsonl", timeout=600)
    rows = json_rows(result.stdout)
    assert [row["path"] for row in rows] == names
    assert (result.returncode, result.stderr.partition(". ")[0]) == (0, "500 files: 500 measured")
    by_content: dict[str, dict[str, object]] = {}
    for row in rows:
        values = {name: row[name] for name in FIELDS}
        assert by_content.setdefault(row["sha256"], values) == values
    assert len(by_content) <= 250
    with ExitStack() as stack:
        address = stack.enter_context(serve(MAX_CONTENT_LENGTH="50000000", MAX_IMAGE_PIXELS="200000000"))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=60))
        for row in rows[:250]:
            with Path(row["path"]).open("rb") as file:
                answer = client.post("/intensity", files={"image": file}).raise_for_status().json()
            assert {name: answer[name] for name in FIELDS} == by_content[row["sha256"]]
