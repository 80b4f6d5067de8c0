"""Measuring in slots: what an image costs that crashes its process, takes too long, or has no client any more."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from contract.invocation import StoredImage
from contract.problems import ProblemError
from gateway.measuring.processor_client import TimeUsedUpError
from image_intensity.slots import Slot, limit
from local_server import measuring as in_slots
from local_server import processor as processor_module
from local_server.measuring import BUCKET, NotSmallError, most_bytes
from local_server.processor import SMALL_DECODED, SMALL_FILE
from tests.local.measuring import black, invocation, measuring, picture, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
LARGE = black(8000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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


async def test_a_process_that_is_killed_costs_the_image_that_it_has_and_no_other(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        process = await running.process()
        os.kill(process, signal.SIGSTOP)
        under_way = [running.send(LARGE) for _ in range(3)]
        await until(lambda: not running.processor.any.idle)
        # It has the image only when that is in the pipe.
        await asyncio.sleep(0.2)
        os.kill(process, signal.SIGKILL)
        assert sorted(await asyncio.gather(*under_way)) == ["measured", "measured", "processor_failed"]
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


async def test_only_what_decodes_into_little_is_measured_as_a_small_image(tmp_path: Path) -> None:
    assert len(LARGE) < SMALL_FILE
    async with measuring(tmp_path) as running:
        with pytest.raises(NotSmallError):
            in_slots.measure(invocation(LARGE), tmp_path, 20, SMALL_DECODED)
        # It begins in the slot for small ones, and is measured in the other.
        assert [await running.code(LARGE), await running.code(picture())] == ["measured"] * 2
        process = await running.process()
        os.kill(process, signal.SIGSTOP)
        large = [running.send(image) for image in (LARGE, LARGE + bytes(SMALL_FILE))]
        assert [await running.code(picture(seed=seed)) for seed in range(5)] == ["measured"] * 5
        os.kill(process, signal.SIGCONT)
        assert await asyncio.gather(*large) == ["measured"] * 2


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
    async with measuring(tmp_path) as running:
        process = await running.process()
        # The other process is ready, too.
        assert await running.code(picture()) == "measured"
        monkeypatch.setattr(processor_module, "WAITING_SECONDS", 0.2)
        os.kill(process, signal.SIGSTOP)
        under_way = running.send(LARGE)
        await until(lambda: not running.processor.any.idle)
        # It has been passed on to the process.
        await asyncio.sleep(0.1)
        assert await running.code(LARGE) == "processor_busy"
        # A small one has a slot of its own.
        assert await running.code(picture()) == "measured"
        os.kill(process, signal.SIGCONT)
        assert await under_way == "measured"


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
        await until(lambda: not running.processor.any.idle)
    assert await under_way == "processor_failed"


def test_a_job_may_have_half_of_the_memory() -> None:
    assert 0 < most_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
