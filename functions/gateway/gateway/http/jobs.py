"""The routes of jobs: begin one with a ticket, and ask how far it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import DetailQuery, FullIntensity, Intensity, JobAnswer, OptionsQuery
from gateway.http.body import Body
from gateway.http.openapi import JOB, JOB_BEGUN, JOBS, OF_JOBS, json_body, problem_responses
from gateway.http.routes import report_of
from gateway.measuring.direct_uploads import TicketRequest
from gateway.measuring.jobs import Found, lost, unknown

if TYPE_CHECKING:
    from gateway.measuring.jobs import Jobs
    from gateway.measuring.outcome import Report
    from gateway.measuring.service import Service

# A client is told to ask again after a tenth of the time that the job has taken so far, in seconds within these bounds.
# To ask every second for 15 minutes would be more than a firewall lets through.
SOONEST, LATEST, SHARE = 1, 10, 10
# Any other text is the id of no job, and not malformed.
ID = {"pattern": "^[A-Za-z0-9_-]{32}$"}


def make_jobs_router(service: Service) -> APIRouter:
    router = APIRouter(prefix="/jobs", tags=[JOBS])

    async def answer(jobs: Jobs, found: Found, report: Report, response: Response, kind: type[Intensity]) -> JobAnswer:
        """Return the answer for a job, with its result of this kind if it is done. Raises ProblemError if it failed."""
        job_id, job = found
        sent: Any = {"id": job_id, "progress": job.progress, "request_id": report.request_id}
        if job.is_dead:
            raise lost()
        if job.status != "finished":
            seconds = min(max(int((time.time() - job.created) / SHARE), SOONEST), LATEST)
            response.headers["Retry-After"] = str(seconds)
            return JobAnswer(status=job.status, result=None, **sent)
        outcome = await service.job_outcome(job, jobs.answer(job), report)
        milliseconds = round(job.seconds * 1000, 3)
        result = kind.of(outcome, filename=job.filename, duration_ms=milliseconds, request_id=report.request_id)
        return JobAnswer(status="done", result=result, **sent)

    @router.post(
        "",
        operation_id="start_job",
        summary="Measure an image that takes minutes",
        status_code=202,
        responses={202: JOB_BEGUN, **problem_responses(*OF_JOBS)},
        openapi_extra=json_body(TicketRequest),
    )
    async def start(request: Request, response: Response, query: Annotated[OptionsQuery, Query()]) -> JobAnswer:
        """Begin to measure a file that was uploaded before, and say where its result will be.

        The same ticket with the same options is the same job: it is measured once. If it has ended already, the answer
        has its result, or is its problem.
        """
        report = report_of(request)
        if not service.jobs or not service.uploads:
            raise ProblemError(ProblemCode.NOT_FOUND, "This service has no jobs. Send images to POST /intensity.")
        ticket = (await Body(request).json(TicketRequest)).ticket
        filename, image = service.uploads.redeem(ticket)
        found = await service.start_job(service.jobs, filename, image, query.options, report)
        # Relative to this address, which has a prefix where the API is asked without CloudFront (RFC 9110, 10.2.2).
        response.headers["Location"] = f"jobs/{found.id}"
        return await answer(service.jobs, found, report, response, Intensity)

    @router.get(
        "/{job_id}",
        operation_id="get_job",
        summary="How far is it?",
        responses={200: JOB, **problem_responses(*OF_JOBS)},
    )
    async def get(
        job_id: Annotated[
            str, Path(description="The `id` of the job, as the answer to its beginning has it", json_schema_extra=ID)
        ],
        request: Request,
        response: Response,
        query: Annotated[DetailQuery, Query()],
    ) -> JobAnswer:
        """Return how far a job is, and its result when it is done. If it has failed, the answer is the problem."""
        report = report_of(request)
        job = await service.jobs.find(job_id) if service.jobs else None
        if not service.jobs or not job:
            raise unknown()
        kind = FullIntensity if query.detail else Intensity
        return await answer(service.jobs, Found(job_id, job), report, response, kind)

    return router
