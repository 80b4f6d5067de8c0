"""What OpenAPI cannot read off the code: the form, which is read by hand, and the problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.http.body import FIELD
from gateway.http.problems import MEDIA_TYPE, problem_content
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest

if TYPE_CHECKING:
    from fastapi import FastAPI

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary", "description": "A PNG or JPEG file"}},
                }
            },
            "application/json": {"schema": TicketRequest.model_json_schema()},
        },
    }
}
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": UploadRequest.model_json_schema()}},
    }
}

DESCRIPTIONS = {
    400: "The request or the image is not one that can be measured",
    403: "API Gateway or its firewall refuses the request",
    404: "There is nothing at this address",
    405: "The address does not take this method",
    409: "What the ticket is for was not uploaded, or is no longer there",
    410: "The ticket has expired",
    413: "The file or the image is over a limit",
    429: "Too many requests; the header Retry-After says when to try again",
    500: "A fault of the service",
    502: "The processor failed",
    503: "The processor is busy; the header Retry-After says when to try again",
    504: "The processor took too long",
}


REQUEST_ID = "a1b2c3d4-e5f6-7890-1234-567890abcdef"


class Problem(BaseModel):
    """A problem as RFC 9457 tells it."""

    type: str = Field(description="A URI that names the kind of problem")
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong this time, and what to do")
    code: ProblemCode = Field(description="The kind of problem for programs")
    request_id: str = Field(description="The same as in the header X-Request-ID")


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Return every problem of the API by its status, with an example of each code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code, kind in PROBLEM_TYPES.items():
        response = responses.setdefault(
            kind.status,
            {
                "description": DESCRIPTIONS[kind.status],
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        example = problem_content(code, "A sentence about this very request.", REQUEST_ID)
        response["content"][MEDIA_TYPE]["examples"][code.value] = {"value": example}
    return responses


def add_problem_schema(app: FastAPI) -> None:
    """Put `Problem` among the schemas: no route returns it, so FastAPI does not."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**schemas.pop("$defs"), "Problem": schemas}
        return document

    # FastAPI's documented way to extend the document.
    app.openapi = openapi  # type: ignore[method-assign]
