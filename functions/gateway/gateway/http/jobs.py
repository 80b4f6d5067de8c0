"""The routes of jobs: begin one with a ticket, and ask how far it is."""

from __future__ import annotations

import time
from json import dumps
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameters

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import DetailQuery, FullIntensity, Intensity, JobAnswer, OptionsQuery
from gateway.http.body import read_json
from gateway.http.openapi import JOB, JOB_BEGUN, JOB_BODY, JOB_ID, JOBS, OF_MEASUREMENTS, problem_responses
from gateway.http.routes import DirectRoute, Log
from gateway.measuring.direct_uploads import TicketRequest
from gateway.measuring.jobs import Found, lost, unknown
from gateway.measuring.processor_client import read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contract.jobs import Job
    from gateway.http.request_log import RequestLog
    from gateway.measuring.jobs import Jobs
    from gateway.measuring.service import Service

# A client is told to ask again after a tenth of the time that the job has taken so far, in seconds within these bounds.
# To ask every second for 15 minutes would be more than a firewall lets through.
SOONEST, LATEST, SHARE = 1, 10, 10


def make_jobs_router(service: Service) -> APIRouter:
    """Return the routes of the jobs of `service`."""
    router = APIRouter(prefix="/jobs", route_class=DirectRoute, tags=[JOBS])

    @router.post(
        "",
        operation_id="start_job",
        summary="Measure an image that takes minutes",
        status_code=202,
        response_model=JobAnswer,
        responses={202: JOB_BEGUN, **problem_responses(*OF_MEASUREMENTS, ProblemCode.NOT_FOUND)},
        openapi_extra=JOB_BODY,
    )
    async def start(request: Request, log: Log, query: Annotated[OptionsQuery, Parameters()]) -> Response:
        """Begin to measure a file that was uploaded before, and say where its result will be.

        The same ticket with the same options is the same job: it is measured once. If it has ended already, the answer
        has its result, or is its problem.
        """
        if not service.jobs or not service.uploads:
            raise ProblemError(ProblemCode.NOT_FOUND, "This service has no jobs. Send images to POST /intensity.")
        ticket = (await read_json(request, TicketRequest)).ticket
        filename, image = service.uploads.redeem(ticket)
        found, report = await service.start_job(service.jobs, filename, image, query.options, log.request_id)
        log.add(report)
        # Relative to this address, which has a prefix where the API is asked without CloudFront (RFC 9110, 10.2.2).
        return await answer(service, service.jobs, found, log, status=202, headers={"Location": f"jobs/{found.id}"})

    @router.get(
        "/{job_id}",  # noqa: FAST003 - a direct route gets the request
        operation_id="get_job",
        summary="How far is it?",
        response_model=JobAnswer,
        response_description="The job has not failed",
        responses={200: JOB, **problem_responses(*OF_MEASUREMENTS, ProblemCode.NOT_FOUND)},
        openapi_extra=JOB_ID,
    )
    async def get(request: Request, log: Log, query: Annotated[DetailQuery, Parameters()]) -> Response:
        """Return how far a job is, and its result when it is done. If it has failed, the answer is the problem."""
        job_id: str = request.path_params["job_id"]
        job = await service.jobs.find(job_id) if service.jobs else None
        if not service.jobs or not job:
            raise unknown()
        return await answer(service, service.jobs, Found(job_id, job), log, full=query.detail is not None)

    return router


async def answer(  # noqa: PLR0913 - what an answer is made of
    service: Service,
    jobs: Jobs,
    found: Found,
    log: RequestLog,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    full: bool = False,
) -> Response:
    """Return the answer for a job, with its result if it is done. Raises ProblemError if it has failed."""
    job, result = found.job, None
    if job.is_dead:
        raise lost()
    if job.status == "finished":
        everything = await read_result(service, jobs, job, log)
        result = everything if full else basic(everything)
    headers = {**(headers or {}), **({} if result else ask_again(job))}
    content = JobAnswer.of(found, log.request_id, result).model_dump_json()
    return Response(content, status, headers, media_type="application/json")


async def read_result(service: Service, jobs: Jobs, job: Job, log: RequestLog) -> FullIntensity:
    """Return the result of a finished job. Raises ProblemError: what came instead."""
    measured = read_answer(dumps(job.answer).encode(), job.options, jobs.logger)
    outcome = await service.job_outcome(job, measured)
    log.add(outcome.report)
    log.measurement = outcome.measurement
    few = Intensity.of(
        outcome.measurement,
        filename=job.filename,
        duration_ms=round(job.seconds * 1000, 3),
        request_id=log.request_id,
    )
    return FullIntensity.extending(few, outcome)


def ask_again(job: Job) -> dict[str, str]:
    """Return the header that says when to ask again."""
    return {"Retry-After": str(min(max(int((time.time() - job.created) / SHARE), SOONEST), LATEST))}


def basic(full: FullIntensity) -> Intensity:
    """Return the answer without `detail=full`."""
    return Intensity.model_validate(full.model_dump(include=set(Intensity.model_fields)))
