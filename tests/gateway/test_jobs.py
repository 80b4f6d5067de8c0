"""Jobs as their sender sees them: begun with a ticket, asked for by their id, measured once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from contract.invocation import measurement_answer, problem_answer
from contract.jobs import Job, Progress
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.jobs import name_of
from gateway.measuring.processor_client import TimeUsedUpError
from gateway.measuring.records import MAX_RECORD_BYTES
from image_intensity import Options, Region
from tests.gateway.driver import assert_problem, measurement
from tests.gateway.test_uploads import announce, post, redeem
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    import httpx

    from contract.invocation import Invocation
    from tests.gateway.driver import Gateway, MakeGateway

MAX_JOB_BYTES = 2_000_000_000


class FakeQueue:
    """Takes jobs, or refuses them with `problem`, and leaves the work to the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Job, Invocation]] = []
        self.problem: ProblemError | None = None

    async def send(self, name: str, job: Job, invocation: Invocation) -> None:
        if self.problem:
            raise self.problem
        self.sent.append((name, job, invocation))


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def gateway(make_gateway: MakeGateway, queue: FakeQueue) -> Gateway:
    """A gateway with jobs, whose records are in the fake Redis."""
    return make_gateway(
        variables={"UPLOAD_BUCKET": "bucket"},
        queue=queue,
    )


def start(gateway: Gateway, ticket: str, query: str = "") -> httpx.Response:
    return post(gateway, f"/jobs{query}", {"ticket": ticket})


def started(gateway: Gateway, ticket: str, query: str = "") -> dict[str, Any]:
    response = start(gateway, ticket, query)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    assert urljoin("http://gateway/jobs", response.headers["location"]) == f"http://gateway/jobs/{answer['id']}"
    return answer


def ask(gateway: Gateway, job_id: str, query: str = "") -> httpx.Response:
    return gateway.get(f"/jobs/{job_id}{query}")


def keep(gateway: Gateway, name: str, job: Job) -> None:
    """What a worker does."""
    gateway.redis.set(name, job.to_json(), ex=60)


def test_a_job_is_queued_then_running_then_done_with_the_usual_answer(gateway: Gateway, queue: FakeQueue) -> None:
    ticket = announce(gateway)["ticket"]
    answer = started(gateway, ticket)
    assert list(answer) == ["id", "status", "progress", "result", "request_id"]
    assert (answer["status"], answer["progress"], answer["result"]) == ("queued", None, None)
    [(name, job, invocation)] = queue.sent
    assert invocation.max_pixels == 1_000_000_000
    waiting = ask(gateway, answer["id"])
    assert (waiting.status_code, waiting.json()["status"], waiting.headers["retry-after"]) == (200, "queued", "1")
    job = job.taken()
    keep(gateway, name, job.alive(Progress(step="reading", share=0.5)))
    running = ask(gateway, answer["id"]).json()
    assert (running["status"], running["progress"]) == ("running", {"step": "reading", "share": 0.5})
    keep(gateway, name, job.finished(measurement_answer(measurement())))
    done = ask(gateway, answer["id"])
    assert done.json()["status"] == "done"
    assert "retry-after" not in done.headers
    result = done.json()["result"]
    assert list(result) == DEFAULT_FIELDS
    assert (result["average_intensity"], result["filename"]) == (100 / 3, "Foto ä.png")
    full = ask(gateway, answer["id"], "?detail=full").json()["result"]
    assert full["measurement"]["sha256"] == job.sha256
    assert len(full["histogram"]) == 256


@pytest.mark.parametrize(("seconds", "pause"), [(0, "1"), (30, "3"), (3000, "10")])
def test_a_client_is_told_to_ask_less_often_the_longer_it_takes(
    gateway: Gateway, queue: FakeQueue, seconds: float, pause: str
) -> None:
    answer = started(gateway, announce(gateway)["ticket"])
    [(name, job, _)] = queue.sent
    keep(gateway, name, replace(job, created=time.time() - seconds))
    assert ask(gateway, answer["id"]).headers["retry-after"] == pause


def test_the_same_ticket_and_options_are_the_same_job_and_are_measured_once(gateway: Gateway, queue: FakeQueue) -> None:
    ticket = announce(gateway)["ticket"]
    ids = {started(gateway, ticket)["id"] for _ in range(3)}
    assert (len(ids), len(queue.sent)) == (1, 1)
    ids |= {started(gateway, ticket, query)["id"] for query in ("?luma=mean", "?alpha=black", "?region=0,0,1,1")}
    assert (len(ids), len(queue.sent)) == (4, 4)
    assert queue.sent[-1][2].options == Options(region=Region(0, 0, 1, 1))
    # Another upload of the same file, too: its sender must not learn of this one.
    assert started(gateway, announce(gateway)["ticket"])["id"] not in ids


def test_the_result_is_in_the_cache_afterwards(gateway: Gateway, queue: FakeQueue) -> None:
    answer = started(gateway, announce(gateway)["ticket"])
    [(name, job, _)] = queue.sent
    keep(gateway, name, job.taken().finished(measurement_answer(measurement())))
    assert ask(gateway, answer["id"]).json()["status"] == "done"
    known = announce(gateway)
    assert known["known"] is True
    response = redeem(gateway, known["ticket"])
    assert (response.headers["x-cache"], gateway.processor.invocations) == ("hit", [])
    # A job of known content is done at once, by no worker.
    begun = start(gateway, known["ticket"])
    again = begun.json()
    assert (again["status"], again["result"]["average_intensity"], len(queue.sent)) == ("done", 100 / 3, 1)
    assert (begun.headers["x-cache"], '"duration_ms":0.0,' in begun.text) == ("hit", True)
    assert ask(gateway, again["id"]).json()["result"]["average_intensity"] == 100 / 3


def test_a_job_that_begins_although_a_request_was_refused_is_no_hit(
    make_gateway: MakeGateway, queue: FakeQueue
) -> None:
    """A job has more time and memory than a request, so a refusal of the same limits says nothing of it."""
    gateway = make_gateway(
        variables={"UPLOAD_BUCKET": "bucket", "MAX_UPLOAD_PIXELS": "1000", "MAX_JOB_PIXELS": "1000"},
        queue=queue,
    )
    gateway.processor.answer = TimeUsedUpError()
    ticket = announce(gateway)["ticket"]
    assert [redeem(gateway, ticket).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
    begun = start(gateway, ticket)
    assert (begun.json()["status"], begun.headers["x-cache"], len(queue.sent)) == ("queued", "miss", 1)


@pytest.mark.parametrize(
    ("size", "way"),
    [
        (150_000_000, "POST /jobs takes uploaded files of up to 2,000,000,000 bytes"),
        (2_100_000_000, "the most that this"),
    ],
)
def test_a_413_names_jobs_for_a_file_that_only_they_take(gateway: Gateway, size: int, way: str) -> None:
    headers = {"content-length": str(size), "expect": "100-continue"}
    assert way in assert_problem(gateway.converse([], headers), 413, "file_too_large")["detail"]


@pytest.mark.parametrize(
    ("code", "status", "again"), [("upload_missing", 409, 2), ("processor_failed", 502, 2), ("corrupt_image", 400, 1)]
)
def test_a_job_that_failed_answers_with_its_problem_and_only_what_may_go_better_is_tried_again(
    gateway: Gateway, queue: FakeQueue, code: str, status: int, again: int
) -> None:
    ticket = announce(gateway)["ticket"]
    answer = started(gateway, ticket)
    [(name, job, _)] = queue.sent
    keep(gateway, name, job.taken().finished(problem_answer(ProblemError(ProblemCode(code), "why"))))
    assert assert_problem(ask(gateway, answer["id"]), status, code)["detail"] == "why"
    assert start(gateway, ticket).status_code == (202 if again > 1 else 400)
    assert len(queue.sent) == again


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_job_whose_worker_died_is_a_problem_and_may_be_begun_again(
    gateway: Gateway, queue: FakeQueue, status: str
) -> None:
    ticket = announce(gateway)["ticket"]
    answer = started(gateway, ticket)
    [(name, job, _)] = queue.sent
    keep(gateway, name, replace(job.taken() if status == "running" else job, until=time.time() - 1))
    assert_problem(ask(gateway, answer["id"]), 502, "processor_failed")
    assert started(gateway, ticket) | {"request_id": ""} == answer | {"request_id": ""}
    assert len(queue.sent) == 2
    assert ask(gateway, answer["id"]).json()["status"] == "queued"


def test_an_answer_for_other_options_is_never_given(gateway: Gateway, queue: FakeQueue) -> None:
    answer = started(gateway, announce(gateway)["ticket"], "?luma=mean")
    [(name, job, _)] = queue.sent
    keep(gateway, name, job.taken().finished(measurement_answer(measurement())))
    assert_problem(ask(gateway, answer["id"]), 502, "processor_failed")


@pytest.mark.parametrize("character", ["\u0001", "\N{GRINNING FACE}"])
def test_the_longest_record_fits_into_what_is_read_of_one(gateway: Gateway, queue: FakeQueue, character: str) -> None:
    answer = started(gateway, announce(gateway, filename=character * 1024)["ticket"])
    [(name, job, _)] = queue.sent
    # With alpha=weight, a pixel counts up to 255.
    longest = measurement(histogram=(255 * 10**9,) * 256)
    job = job.taken().finished(measurement_answer(longest))
    # The signature of a local record comes to that.
    assert len(job.to_json()) < MAX_RECORD_BYTES - 100
    keep(gateway, name, job)
    assert ask(gateway, answer["id"]).json()["result"]["filename"] == character * 1024


def test_a_name_that_no_text_can_have_is_no_fault_of_the_service(gateway: Gateway) -> None:
    body = b'{"filename": "\\ud800", "size": 5, "content_type": "image/png", "sha256": "' + b"0" * 64 + b'"}'
    response = post(gateway, "/uploads", body)
    assert response.status_code in {201, 400}
    if response.status_code == 201:
        assert start(gateway, response.json()["ticket"]).status_code in {202, 400}


def test_nobody_guesses_a_job(gateway: Gateway, queue: FakeQueue) -> None:
    answer = started(gateway, announce(gateway)["ticket"])
    assert len(answer["id"]) == 32
    assert_problem(ask(gateway, answer["id"][:-1]), 404, "not_found")
    assert_problem(ask(gateway, "x" * 32), 404, "not_found")
    gateway.redis.set(name_of("junk"), b"no record")
    assert_problem(ask(gateway, "junk"), 404, "not_found")
    assert len(queue.sent) == 1


def test_a_ticket_must_be_valid(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_problem(start(gateway, "x"), 400, "invalid_ticket")
    ticket = announce(gateway)["ticket"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4000)
    assert_problem(start(gateway, ticket), 410, "expired_ticket")


def test_a_wrong_request_is_refused(gateway: Gateway) -> None:
    ticket = announce(gateway)["ticket"]
    for query in ("?luma=bt2020", "?luma=mean&luma=mean", "?detail=full", "?x=1"):
        assert_problem(start(gateway, ticket, query), 400, "malformed_request")
    assert_problem(post(gateway, "/jobs", {"ticket": ticket, "x": 1}), 400, "malformed_request")
    assert_problem(ask(gateway, "x", "?luma=mean"), 400, "malformed_request")


def test_a_file_for_a_job_gets_a_ticket_that_no_request_takes(gateway: Gateway, queue: FakeQueue) -> None:
    assert gateway.get("/health").json()["limits"]["max_job_bytes"] == MAX_JOB_BYTES
    ticket = announce(gateway, size=MAX_JOB_BYTES)["ticket"]
    assert "POST /jobs" in assert_problem(redeem(gateway, ticket), 413, "file_too_large")["detail"]
    assert started(gateway, ticket)["status"] == "queued"
    assert queue.sent[0][1].size == MAX_JOB_BYTES
    body = {"filename": "x", "size": MAX_JOB_BYTES + 1, "content_type": "image/png", "sha256": "0" * 64}
    assert_problem(post(gateway, "/uploads", body), 413, "file_too_large")


def test_a_service_without_jobs_says_so(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(variables={"UPLOAD_BUCKET": "bucket"})
    assert gateway.get("/health").json()["limits"]["max_job_bytes"] == 0
    assert_problem(start(gateway, announce(gateway)["ticket"]), 404, "not_found")
    assert_problem(ask(gateway, "x"), 404, "not_found")
    body = {"filename": "x", "size": 100_000_001, "content_type": "image/png", "sha256": "0" * 64}
    assert_problem(post(gateway, "/uploads", body), 413, "file_too_large")


def test_a_queue_that_takes_no_job_is_told(gateway: Gateway, queue: FakeQueue) -> None:
    ticket = announce(gateway)["ticket"]
    queue.problem = ProblemError(ProblemCode.PROCESSOR_FAILED, "why")
    assert_problem(start(gateway, ticket), 502, "processor_failed")
    queue.problem = None
    assert started(gateway, ticket)["status"] == "queued"
    assert len(queue.sent) == 1


def test_a_store_that_fails_is_told_and_nothing_is_begun(gateway: Gateway, queue: FakeQueue) -> None:
    ticket = announce(gateway)["ticket"]
    answer = started(gateway, ticket)
    gateway.server.connected = False
    for response in (start(gateway, announce(gateway)["ticket"]), ask(gateway, answer["id"])):
        assert_problem(response, 503, "processor_busy")
        assert response.headers["retry-after"] == "1"
    assert len(queue.sent) == 1
    gateway.server.connected = True
    assert ask(gateway, answer["id"]).json()["status"] == "queued"
