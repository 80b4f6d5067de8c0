"""`intensity bulk` on a store that fails: an object costs one row, and a store that gives nothing ends the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from image_intensity import Limits, Options
from intensity.rows import installed_method
from intensity.sources.errors import Content
from intensity.sources.paths import Found
from intensity.work import ASSUMED, MOST_AHEAD, Measuring, Work
from tests.cli.command import csv_rows, image, intensity, sums
from tests.local_aws import KEYS
from tests.sources.faulty_store import ETAG, Store, faulty_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OBJECTS = {f"{number:03}.png": image(number) for number in range(40)}


def bulk(store: Store, *arguments: str | Path) -> Any:  # noqa: ANN401 - as `intensity`
    environment = {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": store.address}
    environment.pop("AWS_PROFILE", None)
    return intensity("bulk", "s3://photos", *arguments, env=environment)


def codes(file: Path) -> dict[str, str]:
    """The code of each object; no object has two rows."""
    rows = csv_rows(file.read_text())
    found = {row["path"].removeprefix("s3://photos/"): row["code"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_each_object_that_cannot_be_read_costs_its_row_and_no_other(tmp_path: Path) -> None:
    faults: dict[str, bytes | tuple[int, str] | None] = {
        "003.png": (403, "AccessDenied"),
        "005.png": (404, "NoSuchKey"),
        "007.png": (412, "PreconditionFailed"),
        "009.png": (403, "InvalidObjectState"),
        "011.png": OBJECTS["011.png"][:2000],
        "013.png": None,
    }
    with faulty_store(OBJECTS, lambda key: faults.get(key, OBJECTS[key])) as store:
        result = bulk(store, "-o", tmp_path / "a.csv", "-j", "2", "--timeout", "6")
        asked = store.asked
    expected = {
        "003.png": "object_forbidden",
        "005.png": "object_missing",
        "007.png": "object_changed",
        "009.png": "object_archived",
        "011.png": "processor_failed",
        "013.png": "processor_timeout",
    }
    assert codes(tmp_path / "a.csv") == {**dict.fromkeys(OBJECTS, ""), **expected}
    assert sums(result.stderr).startswith("40 objects: 34 measured; 6 without a number: ")
    assert result.returncode == 1
    # It breaks off each time.
    assert asked["011.png"] == 3


def test_credentials_that_expire_end_the_run_and_resume_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    expired = True

    def answer(key: str) -> bytes | tuple[int, str]:
        return (400, "ExpiredToken") if expired and key > "020" else OBJECTS[key]

    with faulty_store(OBJECTS, answer) as store:
        first = bulk(store, "-o", file)
        assert first.returncode == 1
        assert first.stderr.splitlines()[-1] == (
            f"intensity: S3 refuses the credentials: ExpiredToken: As the test wants it.; --resume continues {file}"
        )
        assert codes(file) == dict.fromkeys(sorted(OBJECTS)[:20], "")
        expired = False
        assert bulk(store, "-o", file, "--resume").returncode == 0
    assert codes(file) == dict.fromkeys(OBJECTS, "")


def test_a_store_that_gives_nothing_any_more_ends_the_run(tmp_path: Path) -> None:
    with faulty_store(OBJECTS, lambda key: OBJECTS[key][:100] if key > "005" else OBJECTS[key]) as store:
        result = bulk(store, "-o", tmp_path / "a.csv")
    assert result.returncode == 1
    assert "S3 did not give 10 objects in a row; the last: Reading this object broke off" in result.stderr
    found = codes(tmp_path / "a.csv")
    assert list(found.values()) == [""] * 5 + ["processor_failed"] * 9


class InMemory:
    """A source that notes what is read, and of how many bytes at most. It reads two ahead, one after the other."""

    ahead = 1

    def __init__(self) -> None:
        self.read: list[str] = []

    def reading(self, _: object) -> Callable[[Found, int], Content]:
        def read(found: Found, most: int) -> Content:
            self.read.append(f"{found.path.decode()} {most}")
            return Content(b"", 0)

        return read


def test_what_is_read_ahead_is_bounded_by_bytes_and_goes_on_as_they_are_measured() -> None:
    work = Work(method=installed_method(Options()), limits=Limits(), full=False, max_bytes=10**9)
    sizes = [MOST_AHEAD * 2, 1, MOST_AHEAD // 2, MOST_AHEAD // 2, None, MOST_AHEAD * 2]
    found = [Found(str(number).encode(), etag=ETAG, size=size) for number, size in enumerate(sizes)]
    source = InMemory()
    measuring = Measuring(source, work)
    read_before = []
    for number, each in enumerate(found):
        assert measuring.row(each, found[number + 1 :])["code"] == "empty_file"
        # Its threads read one after the other: this is the last.
        read_before.append(len(source.read))
    first = [f"{number} {work.max_bytes}" for number in range(4)]
    assert sorted(source.read) == [*first, f"4 {ASSUMED}", f"5 {work.max_bytes}"]
    assert read_before[-1] == len(found)


def test_what_fits_into_memory_only_by_itself_is_read_when_it_is_its_turn() -> None:
    work = Work(method=installed_method(Options()), limits=Limits(), full=False, max_bytes=10**9)
    large = Found(b"large", etag=ETAG, size=MOST_AHEAD + 1)
    source = InMemory()
    measuring = Measuring(source, work)
    measuring.row(Found(b"small", size=1), [large])
    assert source.read == [f"small {work.max_bytes}"]
    measuring.row(large)
    assert source.read[1:] == [f"large {work.max_bytes}"]
