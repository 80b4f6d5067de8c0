"""Measuring in slots: what an image costs that crashes its process, takes too long, or has no client any more."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from starlette.requests import ClientDisconnect

from contract.invocation import StoredImage
from contract.problems import ProblemError
from gateway.measuring.processor_client import TimeUsedUpError
from image_intensity.slots import Slot, limit
from local_server import measuring as in_slots
from local_server import processor as processor_module
from local_server.bodies import current
from local_server.measuring import BUCKET, most_bytes
from tests.local.measuring import black, invocation, measuring, picture, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
LARGE = black(8000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(("size", "kind"), [((64, 48), "PNG"), ((1500, 1000), "PNG"), ((1500, 1000), "JPEG")])
async def test_the_number_is_the_one_that_numpy_has(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    image = picture(size, kind)
    expected = np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean()
    async with measuring(tmp_path) as running:
        answer = await running.processor.measure(invocation(image))
    assert answer.measurement.average_intensity == expected
    assert answer.complete


async def test_what_is_wrong_with_an_image_is_told(tmp_path: Path) -> None:
    stored = StoredImage(bucket=BUCKET, key="uploads/none", size=1, sha256="0" * 64)
    wrong: dict[bytes | StoredImage, str] = {
        b"GIF89a": "unsupported_format",
        picture()[:-20]: "corrupt_image",
        stored: "upload_missing",
    }
    async with measuring(tmp_path) as running:
        assert [await running.code(image) for image in wrong] == list(wrong.values())
        with pytest.raises(ProblemError, match="at most 100"):
            await running.processor.measure(invocation(picture(), max_pixels=100))


async def test_many_images_at_once_get_each_its_own_number(tmp_path: Path) -> None:
    images = [picture((30 + seed, 20), seed=seed) for seed in range(30)]
    async with measuring(tmp_path) as running:
        answers = await asyncio.gather(*[running.processor.measure(invocation(image)) for image in images])
    assert [answer.measurement.image_size for answer in answers] == [(30 + seed, 20) for seed in range(30)]


async def test_a_process_that_is_killed_costs_the_image_that_it_has_and_no_other(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        process = await running.process()
        os.kill(process, signal.SIGSTOP)
        first, others = running.send(LARGE), [running.send(LARGE) for _ in range(2)]
        await until(lambda: running.processor.any not in running.processor.turns.idle)
        # It has the image only when that is in the pipe.
        await asyncio.sleep(0.2)
        os.kill(process, signal.SIGKILL)
        assert await first == "processor_failed"
        assert await asyncio.gather(*others) == ["measured"] * 2
        assert "was ended by SIGKILL" in running.log.getvalue()


async def test_an_image_that_takes_too_long_is_ended_and_the_next_one_is_measured(tmp_path: Path) -> None:
    async with measuring(tmp_path, seconds=1) as running:
        os.kill(await running.process(), signal.SIGSTOP)
        hanging = running.send(LARGE)
        # The clock of the process stands still as long as it is stopped.
        await asyncio.sleep(0.2)
        os.kill(await pid_of(running.processor.any), signal.SIGCONT)
        assert await hanging in {"processor_timeout", "measured"}
        assert await running.code(picture()) == "measured"


async def pid_of(slot: Slot) -> int:
    """The process of a slot that has a call under way."""
    process = slot._context.process  # noqa: SLF001 - a call would wait
    assert process
    return process.pid or 0


def used_up() -> None:
    signal.raise_signal(signal.SIGPROF)


def kept_from_working() -> None:
    signal.raise_signal(signal.SIGALRM)


async def test_only_an_image_that_has_used_up_its_time_is_remembered_as_such(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        slot = running.processor.any
        with pytest.raises(TimeUsedUpError):
            await running.processor.answer(slot.submit(used_up))  # type: ignore[arg-type]
        with pytest.raises(ProblemError, match="took too long") as late:
            await running.processor.answer(slot.submit(kept_from_working))  # type: ignore[arg-type]
    assert not isinstance(late.value, TimeUsedUpError)


async def test_an_image_that_waits_too_long_is_told_that_all_are_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_module, "WAITING_SECONDS", 0.2)
    async with measuring(tmp_path) as running:
        process = await running.process()
        os.kill(process, signal.SIGSTOP)
        under_way = running.send(LARGE)
        await until(lambda: running.processor.any not in running.processor.turns.idle)
        assert await running.code(LARGE) == "processor_busy"
        # A small one has a slot of its own.
        assert await running.code(picture()) == "measured"
        os.kill(process, signal.SIGCONT)
        assert await under_way == "measured"


class Gone:
    """A client that goes when the test says so."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def client_gone(self) -> None:
        await self.event.wait()


async def test_an_image_whose_client_has_gone_gives_up_its_place(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        turns = running.processor.turns
        os.kill(await running.process(), signal.SIGSTOP)
        under_way, client = running.send(LARGE), Gone()
        await until(lambda: running.processor.any not in turns.idle)
        current.set(client)  # type: ignore[arg-type]
        waiting = asyncio.create_task(running.processor.measure(invocation(LARGE)))
        await until(lambda: turns.waiting)
        client.event.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        os.kill(await pid_of(running.processor.any), signal.SIGCONT)
        assert await under_way == "measured"


async def test_a_request_that_is_cancelled_leaves_its_slot_fit_for_the_next(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        for _ in range(3):
            under_way = running.send(LARGE)
            await until(lambda: running.processor.any not in running.processor.turns.idle)
            under_way.cancel()
        assert await running.code(LARGE) == "measured"
        await until(lambda: len(running.processor.turns.idle) == 2)


async def test_large_images_are_decoded_one_at_a_time_on_the_whole_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the one that a process of another worker has."""
    monkeypatch.setattr(in_slots, "LARGE_BYTES", 1_000_000)
    with FileLock(tmp_path / "large"):
        with pytest.raises(ProblemError) as busy:
            in_slots.measure(invocation(LARGE), tmp_path, 0.1)
        assert busy.value.code == "processor_busy"
        assert in_slots.measure(invocation(picture((10, 10))), tmp_path, 0.1).pixel_count == 100
    try:
        assert in_slots.measure(invocation(LARGE), tmp_path, 20).pixel_count == 64_000_000
    finally:
        # It would end this process.
        limit(None)


async def test_what_waits_when_the_server_ends_is_answered(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        process = await running.process()
        os.kill(process, signal.SIGSTOP)
        under_way = running.send(LARGE)
        await until(lambda: running.processor.any not in running.processor.turns.idle)
    assert await under_way == "processor_failed"


def test_a_job_may_have_half_of_the_memory() -> None:
    assert 0 < most_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
