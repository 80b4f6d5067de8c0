"""The parts of the OpenAPI document that FastAPI cannot find in the code: the form and the problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.http.body import FIELD
from gateway.http.problems import MEDIA_TYPE, RETRY_AFTER, problem_content
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

REQUEST_ID = "a1b2c3d4-e5f6-7890-1234-567890abcdef"


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(description="A URI that names the kind of problem")
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong this time, and what to do")
    code: ProblemCode = Field(description="The kind of problem for programs")
    request_id: str = Field(description="The same as in the header X-Request-ID")


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Return the problems of the API by status, with an example of each code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code, kind in PROBLEM_TYPES.items():
        response = responses.setdefault(
            kind.status,
            {
                "description": describe(kind.status),
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        example = problem_content(code, "A sentence about this very request.", REQUEST_ID)
        response["content"][MEDIA_TYPE]["examples"][code.value] = {"value": example}
    return responses


def describe(status: int) -> str:
    """Return what a status means: the titles of its problems, and whether the client is told when to try again."""
    codes = [code for code, kind in PROBLEM_TYPES.items() if kind.status == status]
    titles = "; ".join(PROBLEM_TYPES[code].title for code in codes)
    again = "; the header Retry-After says when to try again" if RETRY_AFTER.keys() & set(codes) else ""
    return titles + again


def add_problem_schema(app: FastAPI) -> None:
    """Add the schema `Problem`. No route returns it, so FastAPI does not add it."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**schemas.pop("$defs"), "Problem": schemas}
        return document

    # FastAPI's documented way to extend the document.
    app.openapi = openapi  # type: ignore[method-assign]
