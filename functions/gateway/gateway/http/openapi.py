"""What the OpenAPI document says beyond the routes: bodies, problems, headers, examples and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.http import examples
from gateway.http.body import FIELD, FILE_TYPES
from gateway.http.problems import MEDIA_TYPE, RETRY_AFTER
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

SCHEMA = "#/components/schemas/{model}"
MEASUREMENTS, UPLOADS, JOBS, HEALTH = "Measurements", "Large images", "Jobs", "Health"
# What the constructor of the application takes.
ABOUT: dict[str, Any] = {
    "license_info": {"name": "MIT", "identifier": "MIT"},
    # Relative to the document, which every host and stage serves itself.
    "servers": [{"url": ".", "description": "Where this document comes from"}],
    "openapi_tags": [
        {"name": MEASUREMENTS, "description": "One image in, one number out."},
        {"name": UPLOADS, "description": "Images that are too large for a request go to S3 first."},
        {"name": JOBS, "description": "Images that take longer than a request may."},
        {"name": HEALTH, "description": "For load balancers, and for clients that want to know the limits."},
    ],
}

# Every operation can answer with these.
EVERYWHERE = (
    ProblemCode.FORBIDDEN,
    ProblemCode.REQUEST_TIMEOUT,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.INTERNAL_ERROR,
)
OF_UPLOADS = (
    ProblemCode.UNAUTHORIZED,
    ProblemCode.EMPTY_FILE,
    ProblemCode.MALFORMED_REQUEST,
    ProblemCode.NOT_FOUND,
    ProblemCode.FILE_TOO_LARGE,
    ProblemCode.UNSUPPORTED_ENCODING,
    ProblemCode.PROCESSOR_BUSY,
)
OF_MEASUREMENTS = tuple(
    code for code in ProblemCode if code not in {ProblemCode.NOT_FOUND, ProblemCode.METHOD_NOT_ALLOWED}
)

HEADERS: dict[str, Any] = {
    "X-Request-ID": {
        "description": "The id of the request, for questions about it",
        "required": True,
        "schema": {"type": "string"},
        "example": examples.REQUEST_ID,
    },
    "Server-Timing": {
        "description": "How long the parts of the request took, in milliseconds; requests that are refused "
        "before they reach the service have none",
        "schema": {"type": "string"},
        "example": "upload;dur=3.2, hash;dur=0.4, cache;dur=0.3, processor;dur=20.9, total;dur=25.5",
    },
    "X-Cache": {
        "description": "`hit`: this content was measured or refused before. `miss`: it was not known. `bypass`: there "
        "is no cache, or it does not answer. The answer is the same",
        "schema": {"type": "string", "enum": ["hit", "miss", "bypass"]},
        "example": "miss",
    },
    "Retry-After": {
        "description": "After how many seconds you may try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "What to send: `ApiKey`, a key in the header `X-API-Key`; `Bearer`, a token. If there is none, "
        "nothing helps",
        "schema": {"type": "string", "enum": ["ApiKey", "Bearer"]},
        "example": "ApiKey",
    },
}
PARAMETERS: dict[str, Any] = {
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id of your own for the request: 1 to 128 characters of `A-Z a-z 0-9 . _ -`. Any other is "
        "replaced",
        "schema": {"type": "string"},
        "example": examples.REQUEST_ID,
    },
}
SCHEMES: dict[str, Any] = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "Only where the service asks for keys. Elsewhere it is not read",
    },
    "Token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Only where the service asks for tokens of an OIDC issuer. Elsewhere it is not read",
    },
}

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"$ref": SCHEMA.format(model="ImageForm")}},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES},
            "application/json": {"schema": {"$ref": SCHEMA.format(model="TicketRequest")}},
        },
    },
    "parameters": [
        {
            "name": "Content-Disposition",
            "in": "header",
            "description": "The name of a file that is the body itself (RFC 6266)",
            "schema": {"type": "string"},
            "example": 'attachment; filename="photo.jpg"',
        }
    ],
}
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": SCHEMA.format(model="UploadRequest")}}},
    }
}
JOB_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": SCHEMA.format(model="TicketRequest")}}},
    }
}
JOB_ID: dict[str, Any] = {
    "parameters": [
        {
            "name": "job_id",
            "in": "path",
            "required": True,
            "description": "The `id` of the job, as the answer to its beginning has it",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$", "title": "Job Id"},
        }
    ]
}
ASK_AGAIN = {
    **HEADERS["Retry-After"],
    "description": "After how many seconds to ask; only until the job is done",
    "required": False,
}
JOB_BEGUN: dict[str, Any] = {
    "description": "The job, which was begun now or before",
    "headers": {
        "Location": {
            "description": "Where to ask for the job, relative to the address of this request",
            "required": True,
            "schema": {"type": "string"},
            "example": f"jobs/{examples.JOB_ID}",
        },
        "Retry-After": ASK_AGAIN,
        "X-Cache": {"$ref": "#/components/headers/X-Cache"},
    },
}
JOB: dict[str, Any] = {
    "description": "The job has not failed",
    "headers": {"Retry-After": ASK_AGAIN},
}
IMAGE_FORM = {
    "title": "ImageForm",
    "description": "A form with one file.",
    "type": "object",
    "required": [FIELD],
    "properties": {FIELD: {"type": "string", "format": "binary", "description": "A PNG or JPEG file"}},
}

EXAMPLES: dict[str, Any] = {
    "Intensity": examples.intensity(),
    "TicketRequest": {"ticket": examples.TICKET},
    "UploadRequest": examples.UPLOAD_REQUEST,
    "Upload": examples.UPLOAD,
    "JobAnswer": examples.job(),
    "Health": examples.HEALTH,
    "Readiness": examples.READY,
    "Problem": examples.problem(ProblemCode.CORRUPT_IMAGE),
}


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(description="A URI that names the kind of problem")
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong this time, and what to do")
    code: ProblemCode = Field(description="The kind of problem for programs")
    request_id: str = Field(description="The same as in the header X-Request-ID")


def problem_responses(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Return the problems `codes`, and those of every operation, by status, with an example of each."""
    responses: dict[int | str, dict[str, Any]] = {}
    among = [code for code in PROBLEM_TYPES if code in {*codes, *EVERYWHERE}]
    for code in among:
        status = PROBLEM_TYPES[code].status
        response = responses.setdefault(
            status,
            {
                "description": describe_status(status, among),
                "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA.format(model="Problem")}, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][code.value] = {"value": examples.problem(code)}
    return responses


def describe_status(status: int, among: list[ProblemCode]) -> str:
    """Return what a status means: the titles of its problems."""
    return "; ".join(PROBLEM_TYPES[code].title for code in among if PROBLEM_TYPES[code].status == status)


def measured() -> dict[int | str, dict[str, Any]]:
    """Return the responses of a measurement, the answer and the problems. `complete` adds examples of the answer."""
    responses = {200: {"description": "The measurement"}, **problem_responses(*OF_MEASUREMENTS)}
    for response in responses.values():
        response["headers"] = {"X-Cache": {"$ref": "#/components/headers/X-Cache"}}
    return responses


def complete_openapi(app: FastAPI) -> None:
    """Have the application's document completed when it is made, as FastAPI's manual recommends."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            complete(original())
        return original()

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def complete(document: dict[str, Any]) -> None:
    """Add to the document what no route says, and take out the 422 that FastAPI adds: a wrong request is a 400."""
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"] |= schemas()
    for name, example in EXAMPLES.items():
        components["schemas"][name]["examples"] = [example]
    # Only here, because FastAPI leaves out what is null in an example.
    answers = {"default": {"value": examples.intensity()}, "detail=full": {"value": examples.full_intensity()}}
    document["paths"]["/intensity"]["post"]["responses"]["200"]["content"]["application/json"]["examples"] = answers
    components |= {"headers": HEADERS, "parameters": PARAMETERS, "securitySchemes": SCHEMES}
    # Without anything, or with one of them. It depends on the deployment, so nothing says that one is needed.
    document["security"] = [{}, *({name: []} for name in SCHEMES)]
    for operation in operations(document):
        operation["responses"].pop("422", None)
        operation.setdefault("parameters", []).extend(
            {"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS
        )
        for status, response in operation["responses"].items():
            names = ["X-Request-ID", "Server-Timing"]
            if MEDIA_TYPE in response["content"] and may_try_again(int(status)):
                names.append("Retry-After")
            if status in {"401", "403"}:
                names.append("WWW-Authenticate")
            response.setdefault("headers", {}).update(
                {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            )


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations of a document."""
    for path in document["paths"].values():
        yield from path.values()


def may_try_again(status: int) -> bool:
    """Return whether a problem with this status says when to try again."""
    return status in {PROBLEM_TYPES[code].status for code in RETRY_AFTER}


def schemas() -> dict[str, Any]:
    """Return the schemas of what no route takes or returns by itself."""
    found: dict[str, Any] = {"ImageForm": IMAGE_FORM}
    for model in (Problem, TicketRequest, UploadRequest):
        schema = model.model_json_schema(ref_template=SCHEMA)
        found |= {**schema.pop("$defs", {}), model.__name__: schema}
    return found
