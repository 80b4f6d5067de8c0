"""Parts that are damaged, of something else or in the wrong place are not believed, and `resume` replaces them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import IncompleteReadError

from intensity.runs import stored
from intensity.runs.layout import RESULTS as FILES
from intensity.runs.layout import RunError, write_part
from intensity.runs.request import Request
from runs.measure import write
from tests.runs.conftest import PHOTOS, RESULTS, SIZE, one_by_one, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runs.conftest import Run

    Planned = dict[str, Any]
    Upload = Callable[..., None]
    Damage = Callable[[bytes], bytes]

MANY = {f"many/{number:04d}.png": number for number in range(40, 40 + 2 * SIZE + 2)}
NUMBERS = {f"s3://{PHOTOS}/{key}": value for key, value in MANY.items()}


def flipped(part: bytes, place: int) -> bytes:
    """A part with one bit that is another one."""
    place %= len(part)
    return part[:place] + bytes([part[place] ^ 1]) + part[place + 1 :]


def written_again(part: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """A part with other lines and the right checksum of them: no damage, but a fault of whoever wrote it."""
    head, *lines = part.decode().splitlines(keepends=True)
    told = json.loads(head)
    return write_part(change(lines), told["codes"])


DAMAGES: dict[str, Damage] = {
    "a bit in the head": lambda part: flipped(part, 5),
    "a bit in the checksum": lambda part: flipped(part, part.index(b"sha256") + 20),
    "a bit in a number": lambda part: flipped(part, part.index(b"average_intensity") + 20),
    "a bit in a path": lambda part: flipped(part, part.index(b"0042.png")),
    "the last bit": lambda part: flipped(part, -1),
    "another number": lambda part: part.replace(b"42.0", b"43.0"),
    "cut in the middle of a row": lambda part: part[: len(part) // 2],
    "cut after a row": lambda part: part[: part.rindex(b"\n", 0, -1) + 1],
    "cut in the head": lambda part: part[:50],
    "only the head": lambda part: part[: part.index(b"\n") + 1],
    "empty": lambda _: b"",
    "no text": lambda _: b"\xff\x00\n",
    "other JSON": lambda _: b"[]\n",
    "rows in another order": lambda part: written_again(part, lambda lines: lines[::-1]),
    "a row too few": lambda part: written_again(part, lambda lines: lines[:-1]),
    "a row twice": lambda part: written_again(part, lambda lines: [*lines[:-1], lines[0]]),
    "a row that is no JSON": lambda part: written_again(part, lambda lines: [*lines[:-1], "row\n"]),
    "a row without a path": lambda part: written_again(part, lambda lines: [*lines[:-1], "{}\n"]),
}


@pytest.fixture
def planned(run: Run, upload: Upload) -> Planned:
    """What Plan has returned for a run that is not measured yet."""
    upload(MANY)
    return run.planned(request())


def resumed(run: Run, execution: str = "first_2") -> dict[str, Any]:
    return run.planned(Request(run="first", resume=True), execution)


def numbers(run: Run) -> dict[str, float]:
    rows = run.rows("first")
    assert len(rows) == len(MANY)
    return {row["path"]: row["average_intensity"] for row in rows}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_part_is_not_believed_and_is_measured_again(run: Run, planned: Planned, damage: Damage) -> None:
    run.measured(planned)
    first, *others = run.keys("work/first/parts/")
    sound = {key: run.read(key) for key in (first, *others)}
    run.s3.put_object(Bucket=RESULTS, Key=first, Body=damage(sound[first]))
    assert run.read(first) != sound[first]
    assert run.reduced(planned)["problems"] == {"processor_failed": SIZE}

    again = resumed(run)
    assert [(batch["n"], batch["single"], len(batch["objects"])) for batch in run.todo(again)] == [(0, False, SIZE)]
    assert [part["measured"] for part in run.measured(again)] == [SIZE]
    assert run.reduced(again)["measured"] == len(MANY)
    assert numbers(run) == NUMBERS
    assert run.keys("work/first/parts/") == [first, *others]
    assert [run.read(key) for key in others] == [sound[key] for key in others]
    assert resumed(run, "first_3")["batches"] == 0


def test_a_damaged_part_of_one_object_costs_only_this_object(run: Run, planned: Planned) -> None:
    first, *others = run.todo(planned)
    run.measured(planned, [*one_by_one(first), *others])
    keys = run.keys("work/first/parts/")
    (key,) = [key for key in keys if key.endswith("/000000-002.jsonl")]
    run.s3.put_object(Bucket=RESULTS, Key=key, Body=flipped(run.read(key), -5))
    again = resumed(run)
    assert [(batch["n"], batch["single"], batch["objects"][0]["i"]) for batch in run.todo(again)] == [(0, True, 2)]
    assert [part["measured"] for part in run.measured(again)] == [1]
    run.reduced(again)
    assert numbers(run) == NUMBERS
    assert run.keys("work/first/parts/") == keys


def test_a_damaged_part_beside_parts_of_its_objects_leaves_these_as_they_are(run: Run, planned: Planned) -> None:
    first, *_ = run.todo(planned)
    run.measured(planned)
    whole = run.keys("work/first/parts/")[0]
    run.measured(planned, one_by_one(first)[:2])
    run.s3.put_object(Bucket=RESULTS, Key=whole, Body=b"damaged")
    again = resumed(run)
    assert [batch["objects"][0]["i"] for batch in run.todo(again)] == [2, 3]
    run.measured(again)
    run.reduced(again)
    assert numbers(run) == NUMBERS


def test_parts_in_each_others_place_are_measured_again(run: Run, planned: Planned) -> None:
    run.measured(planned)
    first, second, _ = run.keys("work/first/parts/")
    sound = {key: run.read(key) for key in (first, second)}
    run.s3.put_object(Bucket=RESULTS, Key=first, Body=sound[second])
    run.s3.put_object(Bucket=RESULTS, Key=second, Body=sound[first])
    assert run.reduced(planned)["problems"] == {"processor_failed": 2 * SIZE}
    again = resumed(run)
    assert [batch["n"] for batch in run.todo(again)] == [0, 1]
    run.measured(again)
    run.reduced(again)
    assert numbers(run) == NUMBERS


def test_of_two_that_replace_a_damaged_part_one_does(run: Run, upload: Upload) -> None:
    upload({"a.png": 10})
    planned = run.planned(request())
    run.measured(planned)
    (key,) = run.keys("work/first/parts/")
    run.s3.put_object(Bucket=RESULTS, Key=key, Body=b"damaged")
    damaged = run.s3.head_object(Bucket=RESULTS, Key=key)["ETag"]
    again = resumed(run)
    assert [part["measured"] for _ in range(2) for part in run.measured(again)] == [1, 0]
    sound = run.read(key)
    # One that has seen the damage and comes later.
    assert not write(run.s3, RESULTS, key, b"late", instead_of=damaged)
    assert not write(run.s3, RESULTS, key, b"late", instead_of=None)
    assert run.read(key) == sound


def test_what_no_run_has_written_is_left_alone(run: Run, planned: Planned) -> None:
    run.measured(planned)
    folder = run.keys("work/first/parts/")[0].rpartition("/")[0]
    for name in ("notes.txt", "000099.jsonl", "000000-000.jsonl", "000000-999.jsonl"):
        run.s3.put_object(Bucket=RESULTS, Key=f"{folder}/{name}", Body=b"something")
    assert resumed(run)["batches"] == 0
    assert run.reduced(planned)["measured"] == len(MANY)


def test_reduce_that_ends_in_the_middle_is_done_again(
    run: Run, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = run.todo(planned)
    run.measured(planned, others)
    run.reduced(planned)
    again = resumed(run)
    run.measured(again)
    real, killed = run.s3.upload_file, FILES[1]

    def upload_file(name: str, bucket: str, key: str) -> None:
        if key.endswith(killed):
            raise KeyboardInterrupt
        real(name, bucket, key)

    with monkeypatch.context() as patch:
        patch.setattr(run.s3, "upload_file", upload_file)
        with pytest.raises(KeyboardInterrupt):
            run.reduced(again)
    # The sums are still those of the earlier end.
    assert json.loads(run.read("runs/first/summary.json"))["problems"] == {"processor_failed": len(first["objects"])}
    last = resumed(run, "first_3")
    assert last["batches"] == 0
    assert run.reduced(last)["measured"] == len(MANY)
    assert numbers(run) == NUMBERS


@pytest.mark.parametrize("damaged", [b"{", b"[]\n", b"{}\n", b"\xff", b'{"n": 0, "objects": [{}]}\n', None])
def test_a_damaged_plan_is_a_sentence_and_no_results(run: Run, planned: Planned, damaged: bytes | None) -> None:
    if damaged is None:
        run.s3.delete_object(Bucket=RESULTS, Key="runs/first/plan.jsonl")
    else:
        run.s3.put_object(Bucket=RESULTS, Key="runs/first/plan.jsonl", Body=damaged)
    sentence = r"s3://results/runs/first/plan.jsonl is (damaged|not there)"
    with pytest.raises(RunError, match=sentence):
        resumed(run)
    with pytest.raises(RunError, match=sentence):
        run.reduced(planned)
    assert run.keys("runs/first/results") == []


@pytest.mark.parametrize(
    ("name", "damaged"), [("results.jsonl", b"\xff{"), ("results.jsonl", b"[1]\n"), ("plan.jsonl", b"{")]
)
def test_damaged_results_of_an_earlier_run_are_a_sentence(run: Run, upload: Upload, name: str, damaged: bytes) -> None:
    upload({"a.png": 10})
    run.whole(request())
    run.s3.put_object(Bucket=RESULTS, Key=f"runs/first/{name}", Body=damaged)
    with pytest.raises(RunError, match="do not belong together"):
        run.planned(request("second", since="first"))


class Breaking:
    """An S3 whose answers break off, so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def get_object(self, **_: str) -> dict[str, Any]:
        return {"Body": self, "ETag": "e"}

    def read(self) -> bytes:
        self.left -= 1
        if self.left >= 0:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return b"whole"


def test_an_answer_that_breaks_off_is_read_again() -> None:
    s3: Any = Breaking(stored.ATTEMPTS - 1)
    assert stored.get(s3, RESULTS, "key") == (b"whole", "e")
    s3 = Breaking(stored.ATTEMPTS)
    with pytest.raises(IncompleteReadError):
        stored.get(s3, RESULTS, "key")
