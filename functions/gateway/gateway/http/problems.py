"""Problems as answers: everything that goes wrong is `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.http.request_log import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request

    from gateway.http.request_log import RequestLog

MEDIA_TYPE = "application/problem+json"
# Seconds after which the client may try again.
RETRY_AFTER = {ProblemCode.TOO_MANY_REQUESTS: "1", ProblemCode.PROCESSOR_BUSY: "1"}


def problem_content(error: ProblemError, request_id: str) -> dict[str, str | int]:
    """Return the members of a problem: those of RFC 9457, section 3.1, and our `code` and `request_id`."""
    kind = PROBLEM_TYPES[error.code]
    return {
        "type": f"urn:image-intensity:problem:{error.code.value}",
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail,
        "code": error.code.value,
        "request_id": request_id,
    }


def malformed(detail: str) -> ProblemError:
    return ProblemError(ProblemCode.MALFORMED_REQUEST, detail)


def reasons(errors: Iterable[Mapping[str, Any]]) -> str:
    """Return the errors that pydantic found in a body, in one sentence."""
    return "; ".join(
        ": ".join(filter(None, [shortened(".".join(map(str, item["loc"]))), item["msg"]])) for item in errors
    )


def wrong_values(errors: Iterable[Mapping[str, Any]]) -> str:
    """Return which query parameters are unknown, or have values that cannot be and what may be there."""
    # Of a parameter that may be left out, pydantic also says that it could be None. Only the first error is of use.
    firsts = {str(item["loc"][1]): item for item in reversed(list(errors))}
    unknown = sorted(name for name, item in firsts.items() if item["type"] == "extra_forbidden")
    if unknown:
        return f"Unknown query parameter: {shortened(', '.join(unknown))}. The API is described at /docs."
    return " ".join(
        f"The query parameter {name} cannot be {shortened(repr(item['input']))}: {what_may_be(item)}."
        for name, item in sorted(firsts.items())
    )


def what_may_be(item: Mapping[str, Any]) -> str:
    context = item.get("ctx", {})
    if item["type"] == "literal_error":
        return f"it may be {context['expected']}, or left out"
    return str(context.get("error", item["msg"]))


def problem_response(error: ProblemError, log: RequestLog, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer for a problem, and note its code for the log line. `headers` come before the usual ones."""
    log.problem = code = error.code
    retry = {"Retry-After": RETRY_AFTER[code]} if code in RETRY_AFTER else {}
    return JSONResponse(
        problem_content(error, log.request_id),
        PROBLEM_TYPES[code].status,
        headers={**retry, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every known error, the framework's and ours, with a problem. `gateway.http.faults` answers the others."""

    @app.exception_handler(ProblemError)
    async def known(request: Request, error: ProblemError) -> JSONResponse:
        return problem_response(error, request.state.log)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(malformed(wrong_values(error.errors())), request.state.log)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        path = shortened(request.url.path)
        not_found = ProblemError(ProblemCode.NOT_FOUND, f"There is nothing at {path}. The API is described at /docs.")
        not_allowed = ProblemError(ProblemCode.METHOD_NOT_ALLOWED, f"{request.method} is not allowed at {path}.")
        problem = {404: not_found, 405: not_allowed}.get(error.status_code, malformed(str(error.detail)))
        headers = dict(error.headers or {})
        if "GET" in headers.get("Allow", ""):
            # gateway.http.head answers it.
            headers["Allow"] += ", HEAD"
        return problem_response(problem, request.state.log, headers)
