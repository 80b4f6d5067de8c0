"""Problems as answers: everything that goes wrong is `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.status import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.http.request_log import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_lambda_powertools import Logger
    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.measuring.outcome import Report

MEDIA_TYPE = "application/problem+json"
# What a value may be, by pydantic's name for the error in another.
WHAT_MAY_BE = {
    "literal_error": "it may be {expected}, or left out",
    "string_type": "it is a text",
    "string_too_short": "it is not empty",
    "string_too_long": "it has at most {max_length:,} characters",
    "int_type": "it is a whole number",
    "int_from_float": "it is a whole number",
    "greater_than_equal": "it is at least {ge}",
    "string_pattern_mismatch": "it is {form}",
}
FORMS = {"content_type": "a media type, such as image/png", "sha256": "64 hexadecimal digits"}
# What TrustedHostMiddleware says.
INVALID_HOST = "Invalid host header"
MAX_NAME = 253
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


def wrong_values(errors: Sequence[Mapping[str, Any]], what: str) -> str:
    """Return what is wrong with the parameters or fields that pydantic has checked, in sentences. what: they are."""
    if not errors[0]["loc"]:
        parsing = errors[0].get("ctx", {}).get("error")
        return f"The body is not JSON: {parsing}." if parsing else "The body is JSON, but not an object."
    # Of a parameter that may be left out, pydantic also says that it could be None. Only the first error is of use.
    firsts = {str(item["loc"][0]): item for item in reversed(errors)}
    unknown = sorted(name for name, item in firsts.items() if item["type"] == "extra_forbidden")
    if unknown:
        return f"Unknown {what}: {shortened(', '.join(unknown))}. The API is described at /docs."
    return " ".join(wrong_value(f"The {what} {name}", item) for name, item in sorted(firsts.items()))


def wrong_value(which: str, item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return f"{which} is missing."
    value, known = item["input"], {"error": item["msg"], "form": FORMS.get(str(item["loc"][0])), **item.get("ctx", {})}
    shown = repr(value) if isinstance(value, str) else to_json(value).decode()
    may_be = WHAT_MAY_BE.get(item["type"], "{error}").format_map(known)
    return f"{which} cannot be {shortened(shown)}: {may_be}."


def problem_response(error: ProblemError, report: Report, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer for a problem, and note its code for the log line. `headers` come before the usual ones."""
    report.problem = code = error.code
    retry = {"Retry-After": RETRY_AFTER[code]} if code in RETRY_AFTER else {}
    return JSONResponse(
        problem_content(error, report.request_id),
        PROBLEM_TYPES[code].status,
        headers={**retry, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


async def known(request: Request, error: ProblemError) -> JSONResponse:
    return problem_response(error, request.state.report)


async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [{**item, "loc": item["loc"][1:]} for item in error.errors()]
    return problem_response(malformed(wrong_values(errors, "query parameter")), request.state.report)


async def of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
    path, headers = shortened(request.url.path), dict(error.headers or {})
    if error.status_code == HTTP_405_METHOD_NOT_ALLOWED:
        # StaticFiles do not say it.
        allowed = set(headers.get("Allow", "GET").split(", "))
        # RequestLogMiddleware has it answered where GET is.
        headers["Allow"] = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
        detail = f"{request.method} is not allowed at {path}. It takes {' or '.join(sorted(allowed - {'HEAD'}))}."
        problem = ProblemError(ProblemCode.METHOD_NOT_ALLOWED, detail)
    elif error.status_code == HTTP_404_NOT_FOUND:
        problem = ProblemError(ProblemCode.NOT_FOUND, f"There is nothing at {path}. The API is described at /docs.")
    else:
        problem = malformed(str(error.detail))
    return problem_response(problem, request.state.report, headers)


# Every known error, the framework's and ours.
HANDLERS: dict[Any, Any] = {ProblemError: known, RequestValidationError: invalid, HTTPException: of_the_framework}


def last_resort(logger: Logger) -> Middleware:
    """Return the layer that answers what the routes and the layers inside of it raise.

    A fault of the service is in the log; its answer tells nothing about the inside. This layer is inside the CORS
    layer, so that the page can read the answer. The framework's own would be outside.
    """

    async def fault(request: Request, error: Exception) -> JSONResponse:
        logger.error("unhandled fault", exc_info=error)
        return problem_response(ProblemError(ProblemCode.INTERNAL_ERROR), request.state.report)

    async def gone(_: Request, error: Exception) -> NoReturn:
        raise error

    return Middleware(ExceptionMiddleware, handlers={**HANDLERS, ClientDisconnect: gone, Exception: fault})


class RefusalMiddleware:
    """Answers with a problem what Starlette refuses in plain text: preflights, names in the header Host, and ranges."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Headers | None = None

        async def send_problem(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= 400:  # noqa: PLR2004 - HTTP's
                headers = Headers(raw=message["headers"])
                if headers.get("content-type", "").startswith("text/plain"):
                    refused = headers
                    return
            if refused is None:
                await send(message)
                return
            problem = problem_of(scope, message["body"].decode())
            kept = {name: value for name, value in refused.items() if not name.startswith("content-")}
            await problem_response(problem, scope["state"]["report"], kept)(scope, receive, send)

        await self.app(scope, receive, send_problem if scope["type"] == "http" else send)


def problem_of(scope: Scope, text: str) -> ProblemError:
    if text != INVALID_HOST:
        return malformed(f"{text}.")
    host = Headers(scope=scope).get("host", "")
    detail = (
        f"This service is for this machine only, and was asked for as {host[:MAX_NAME]}. Use localhost. "
        "Or allow the name: ALLOWED_HOSTS."
    )
    return ProblemError(ProblemCode.FORBIDDEN, detail)
