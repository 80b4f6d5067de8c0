"""What the OpenAPI document says beyond models and routes: bodies, problems, headers and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.http.answers import JOB_ID, REQUEST_ID, FullIntensity, Intensity, JobAnswer, example
from gateway.http.body import JSON
from gateway.http.file import FORM
from gateway.http.problems import MEDIA_TYPE, RETRY_AFTER, problem_content
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest
from gateway.measuring.outcome import Outcome
from image_intensity import Measurement, Options, Region, Statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

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
EVERYWHERE = {
    ProblemCode.FORBIDDEN,
    ProblemCode.REQUEST_TIMEOUT,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.INTERNAL_ERROR,
}
OF_UPLOADS = {
    ProblemCode.UNAUTHORIZED,
    ProblemCode.EMPTY_FILE,
    ProblemCode.MALFORMED_REQUEST,
    ProblemCode.NOT_FOUND,
    ProblemCode.FILE_TOO_LARGE,
    ProblemCode.UNSUPPORTED_ENCODING,
    ProblemCode.PROCESSOR_BUSY,
}
OF_MEASUREMENTS = {*ProblemCode} - {ProblemCode.NOT_FOUND, ProblemCode.METHOD_NOT_ALLOWED}
OF_JOBS = {*ProblemCode} - {ProblemCode.METHOD_NOT_ALLOWED}


def described(description: str, example: str | int, *, required: bool = False, **schema: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a header or a parameter, which is a text unless `schema` says otherwise."""
    whether = {"required": True} if required else {}
    return {"description": description, **whether, "schema": {"type": "string", **schema}, "example": example}


HEADERS: dict[str, Any] = {
    "X-Request-ID": described("The id of the request, for questions about it", REQUEST_ID, required=True),
    "Server-Timing": described(
        "How long the parts of the request took, in milliseconds; requests that are refused before they reach the "
        "service have none",
        "upload;dur=3.2, hash;dur=0.4, cache;dur=0.3, processor;dur=20.9, total;dur=25.5",
    ),
    "X-Cache": described(
        "`hit`: this content was measured or refused before. `miss`: it was not known. `bypass`: there is no cache, or "
        "it does not answer. The answer is the same",
        "miss",
        enum=["hit", "miss", "bypass"],
    ),
    "Retry-After": described("After how many seconds you may try again", 1, required=True, type="integer", minimum=1),
    "WWW-Authenticate": described(
        "What to send: `ApiKey`, a key in the header `X-API-Key`; `Bearer`, a token. If there is none, nothing helps",
        "ApiKey",
        enum=["ApiKey", "Bearer"],
    ),
}
OWN_ID = {
    "name": "X-Request-ID",
    "in": "header",
    **described(
        "An id of your own for the request: 1 to 128 characters of `A-Z a-z 0-9 . _ -`. Any other is replaced",
        REQUEST_ID,
    ),
}
RETRIED = {str(PROBLEM_TYPES[code].status) for code in RETRY_AFTER}
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

ASK_AGAIN = described("After how many seconds to ask; only until the job is done", 1, type="integer", minimum=1)
LOCATION = described(
    "Where to ask for the job, relative to the address of this request", f"jobs/{JOB_ID}", required=True
)
JOB_BEGUN: dict[str, Any] = {
    "description": "The job, which was begun now or before",
    "headers": {"Location": LOCATION, "Retry-After": ASK_AGAIN},
}
JOB: dict[str, Any] = {"description": "The job has not failed", "headers": {"Retry-After": ASK_AGAIN}}


def example_of(code: ProblemCode) -> dict[str, str | int]:
    return problem_content(ProblemError(code), REQUEST_ID)


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(description="A URI that names the kind of problem")
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong this time, and what to do")
    code: ProblemCode = Field(description="The kind of problem for programs")
    request_id: str = Field(description="The same as in the header X-Request-ID")

    model_config = example(**example_of(ProblemCode.CORRUPT_IMAGE))


class ImageForm(BaseModel):
    """A form with one file."""

    image: bytes = Field(description="A file of one of the formats that the service measures")


def content(model: str) -> dict[str, Any]:
    return {"schema": {"$ref": SCHEMA.format(model=model)}}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what an operation says that reads a model from JSON by itself, up to a limit."""
    return {"requestBody": {"required": True, "content": {JSON: content(model.__name__)}}}


def image_body(types: Sequence[str]) -> dict[str, Any]:
    """Return what POST /intensity takes. types: of bodies that are the file itself."""
    disposition = {
        "name": "Content-Disposition",
        "in": "header",
        **described("The name of a file that is the body itself (RFC 6266)", 'attachment; filename="photo.jpg"'),
    }
    bodies = {
        FORM: content(ImageForm.__name__),
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in types},
        JSON: content(TicketRequest.__name__),
    }
    return {"requestBody": {"required": True, "content": bodies}, "parameters": [disposition]}


def problem_responses(*codes: ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Return the problems `codes`, and those of every operation, by status, with an example of each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code, kind in PROBLEM_TYPES.items():
        if code not in {*codes, *EVERYWHERE}:
            continue
        new = {"description": kind.title, "content": {MEDIA_TYPE: {**content(Problem.__name__), "examples": {}}}}
        if kind.status in responses:
            responses[kind.status]["description"] += f"; {kind.title}"
        response = responses.setdefault(kind.status, new)
        response["content"][MEDIA_TYPE]["examples"][code.value] = {"value": example_of(code)}
    return responses


def measured() -> dict[int | str, dict[str, Any]]:
    """Return the responses of a measurement: the answer with an example of each detail, and the problems."""
    sent: Any = {"filename": "ramp.png", "duration_ms": 25.512, "request_id": REQUEST_ID}
    outcome = Outcome(RAMP, RAMP_SHA256)
    answers = {
        "default": {"value": Intensity.of(outcome, **sent).model_dump(mode="json")},
        "detail=full": {"value": FullIntensity.of(outcome, **sent).model_dump(mode="json")},
    }
    answer = {"description": "The measurement", "content": {JSON: {"examples": answers}}}
    return {200: answer, **problem_responses(*OF_MEASUREMENTS)}


def complete_openapi(app: FastAPI) -> None:
    """Have the application's document completed when it is made, as FastAPI's manual recommends."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            complete(original())
        return original()

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def complete(document: dict[str, Any]) -> None:
    """Add what is the same for all operations, and take out the 422 that FastAPI adds: a wrong request is a 400."""
    components = document["components"]
    schemas = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (Problem, ImageForm, TicketRequest, UploadRequest):
        schema = model.model_json_schema(ref_template=SCHEMA)
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    # FastAPI leaves out what is null in an example.
    schemas["JobAnswer"]["examples"] = JobAnswer.model_config["json_schema_extra"]["examples"]  # type: ignore[index]
    components |= {"headers": HEADERS, "parameters": {"X-Request-ID": OWN_ID}, "securitySchemes": SCHEMES}
    for method, operation in [each for path in document["paths"].values() for each in path.items()]:
        # Without anything, or with one of them. It depends on the deployment, so nothing says that one is needed. Other
        # methods never need one.
        operation["security"] = [{}, *({name: []} for name in SCHEMES)] if method == "post" else []
        operation["responses"].pop("422", None)
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/X-Request-ID"})
        for status, response in operation["responses"].items():
            names = ["X-Request-ID", "Server-Timing"]
            if operation["tags"] == [MEASUREMENTS] or status == "202":
                names.append("X-Cache")
            if MEDIA_TYPE in response["content"] and status in RETRIED:
                names.append("Retry-After")
            if status in {"401", "403"}:
                names.append("WWW-Authenticate")
            headers = response.setdefault("headers", {})
            headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in names}


# A gray ramp: each of the 256 gray values has 1875 pixels.
RAMP = Measurement(
    average_intensity=127.5,
    image_format="PNG",
    image_size=(800, 600),
    original_mode="RGB",
    pixel_count=480_000,
    image_size_bytes=3772,
    options=Options(region=Region(0, 0, 800, 600)),
    statistics=Statistics(
        minimum=0.0,
        maximum=255.0,
        median=127.5,
        standard_deviation=73.90027063549903,
        percentiles={"1": 2.0, "5": 12.0, "25": 63.0, "75": 191.0, "95": 243.0, "99": 253.0},
        entropy=8.0,
        share_black=1 / 256,
        share_white=1 / 256,
    ),
    histogram=(1875,) * 256,
)
RAMP_SHA256 = "c7fa3894f1788ae5671f3bc9f795f63015733b27cd0364946ab8d6e762b84607"
