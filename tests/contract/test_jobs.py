"""The record of a job: it survives the way through JSON, and versions that know more or fewer fields."""

from __future__ import annotations

import time
from json import dumps, loads

import pytest

from contract.invocation import StoredImage
from contract.jobs import QUEUED_SECONDS, SILENCE_SECONDS, Job, Progress
from image_intensity import Options, Region

IMAGE = StoredImage(bucket="b", key="uploads/k", size=5, sha256="0" * 64)
JOB = Job.of('"ä" \u0001.png', IMAGE, Options(luma="mean", region=Region(1, 2, 3, 4)))


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        JOB.waiting(),
        JOB.taken(3, 180),
        JOB.taken().alive(Progress(step="measuring", share=1.0)),
        JOB.taken().finished({"problem": {"code": "corrupt_image", "detail": "why"}}),
    ],
)
def test_a_record_is_read_as_it_was_written(job: Job) -> None:
    assert Job.from_json(job.to_json()) == job


def test_a_field_of_another_version_is_ignored_or_has_its_default() -> None:
    content = loads(JOB.to_json())
    assert Job.from_dict({**content, "new": 1}) == JOB
    del content["attempts"]
    assert Job.from_dict(content) == JOB


@pytest.mark.parametrize("wrong", [{"status": "x"}, {"options": {"luma": "x"}}, {"progress": {"step": "reading"}}])
def test_a_value_that_cannot_be_is_an_error(wrong: dict[str, object]) -> None:
    content = {**loads(JOB.to_json()), **wrong}
    with pytest.raises((ValueError, TypeError, KeyError)):
        Job.from_json(dumps(content).encode())


def test_a_job_that_waits_has_an_hour_and_a_worker_as_long_as_it_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    running, between = JOB.taken(), JOB.taken(3, 180)
    assert JOB.until - JOB.created == QUEUED_SECONDS
    for job, seconds in ((running, SILENCE_SECONDS), (between, SILENCE_SECONDS + 180)):
        for after, dead in ((-1, False), (1, True)):
            monkeypatch.setattr(time, "time", lambda end=job.until + after: end)
            assert job.is_dead is dead, seconds
            assert not job.finished({}).is_dead
    assert between.until - running.until == pytest.approx(180, abs=60)


def test_the_last_attempt_is_followed_by_none() -> None:
    job = JOB
    for _ in range(3):
        job = job.taken(3, 180)
    assert job.until - time.time() <= SILENCE_SECONDS
