"""The OpenAPI document says what is so: operations, answers, headers and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel  # noqa: TC002 - for a dictionary's type

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.http.answers import FullIntensity, Intensity, JobAnswer, Upload
from gateway.http.health import Health, Readiness
from gateway.http.openapi import RAMP, Problem
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest
from image_intensity import OPTIONS
from image_intensity.measuring import measure
from tests.core.images import encode
from tests.gateway.test_uploads import announce

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway

NAMES = {"measure_image", "offer_upload", "start_job", "get_job", "get_health", "get_readiness"}


@pytest.fixture
def document(gateway: Gateway) -> dict[str, Any]:
    content: dict[str, Any] = gateway.get("/openapi.json").json()
    return content


def operations(document: dict[str, Any]) -> dict[str, Any]:
    found = [operation for path in document["paths"].values() for operation in path.values()]
    return {operation["operationId"]: operation for operation in found}


def test_the_document_is_the_same_every_time_it_is_asked_for(gateway: Gateway) -> None:
    first, second = gateway.get("/openapi.json"), gateway.get("/openapi.json")
    assert first.status_code == 200
    assert first.json() == second.json()


def test_every_operation_has_a_name_and_a_tag_for_people(document: dict[str, Any]) -> None:
    found = operations(document)
    assert found.keys() == NAMES
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for operation in found.values() for tag in operation["tags"]} == described


def test_license_server_and_security_are_stated(document: dict[str, Any]) -> None:
    assert document["info"]["license"]["identifier"] == "MIT"
    assert document["servers"][0]["url"] == "."
    schemes = document["components"]["securitySchemes"]
    assert list(schemes) == ["ApiKey", "Token"]
    assert "security" not in document
    # Without a key, or with one.
    asked: list[Any] = [{}, {"ApiKey": []}, {"Token": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("security") == (asked if method == "post" else []), path


def test_a_wrong_request_is_a_400_and_no_operation_promises_a_422(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        assert "422" not in operation["responses"]
    assert not [name for name in document["components"]["schemas"] if "Validation" in name]


def test_every_problem_is_described_where_it_can_happen(document: dict[str, Any]) -> None:
    told: dict[str, set[str]] = {}
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            for code in response["content"].get("application/problem+json", {"examples": {}})["examples"]:
                assert PROBLEM_TYPES[ProblemCode(code)].status == int(status)
                told.setdefault(name, set()).add(code)
    # A method that no path takes belongs to no operation.
    assert set().union(*told.values()) == set(ProblemCode) - {ProblemCode.METHOD_NOT_ALLOWED}
    everywhere = {"forbidden", "request_timeout", "too_many_requests", "internal_error"}
    assert told["get_readiness"] == everywhere
    assert told["get_health"] - everywhere == {"processor_busy"}
    of_uploads = {"unauthorized", "malformed_request", "empty_file", "not_found", "file_too_large", "processor_busy"}
    of_uploads |= {"unsupported_encoding"}
    assert told["offer_upload"] - everywhere == of_uploads
    assert told["start_job"] == told["get_job"] == set(ProblemCode) - {ProblemCode.METHOD_NOT_ALLOWED}
    assert told["measure_image"] == set(ProblemCode) - {ProblemCode.NOT_FOUND, ProblemCode.METHOD_NOT_ALLOWED}


def test_every_answer_has_the_headers_that_are_described_for_it(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            headers = set(response["headers"])
            assert {"X-Request-ID", "Server-Timing"} <= headers
            assert ("X-Cache" in headers) == (name == "measure_image" or (name, status) == ("start_job", "202"))
            problem = "application/problem+json" in response["content"]
            asks_again = (name, status) in {("start_job", "202"), ("get_job", "200")}
            assert ("Retry-After" in headers) == (asks_again or (status in {"429", "503"} and problem))
            assert ("WWW-Authenticate" in headers) == (status in {"401", "403"})
    for header in document["components"]["headers"].values():
        assert header["description"]
        assert header["example"]


def test_clients_try_the_answer_with_statistics_first(document: dict[str, Any]) -> None:
    [answer] = operations(document)["measure_image"]["responses"]["200"]["content"].values()
    references = [variant["$ref"] for variant in answer["schema"]["anyOf"]]
    assert [reference.rpartition("/")[2] for reference in references] == ["FullIntensity", "Intensity"]
    assert answer["examples"].keys() == {"default", "detail=full"}


def test_a_file_to_upload_has_at_least_one_byte(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["UploadRequest"]["properties"]["size"]["minimum"] == 1


MODELS: dict[str, type[BaseModel]] = {
    each.__name__: each for each in (Upload, JobAnswer, UploadRequest, TicketRequest, Health, Readiness, Problem)
}


@pytest.mark.parametrize("name", MODELS)
def test_every_example_of_a_model_is_whole(document: dict[str, Any], name: str) -> None:
    [example] = document["components"]["schemas"][name]["examples"]
    assert MODELS[name].model_validate(example).model_dump(mode="json") == example


def test_every_example_of_an_answer_is_whole(document: dict[str, Any]) -> None:
    answers = operations(document)["measure_image"]["responses"]["200"]["content"]["application/json"]["examples"]
    for example, model in ((answers["default"], Intensity), (answers["detail=full"], FullIntensity)):
        assert model.model_validate(example["value"]).model_dump(mode="json") == example["value"]
    for operation in operations(document).values():
        for response in operation["responses"].values():
            for code, example in (
                response["content"].get("application/problem+json", {"examples": {}})["examples"].items()
            ):
                assert Problem.model_validate(example["value"]).model_dump(mode="json") == example["value"]
                assert example["value"]["code"] == code


def test_the_example_of_a_measurement_is_the_measurement_of_a_ramp() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 1875).reshape(600, 800)
    measured = measure(encode(Image.fromarray(np.stack([ramp] * 3, axis=-1)), "PNG"), RAMP.options)
    for field in ("average_intensity", "image_size", "original_mode", "pixel_count", "statistics", "histogram"):
        assert getattr(RAMP, field) == getattr(measured, field)


def test_the_example_of_an_upload_has_the_fields_of_a_form(document: dict[str, Any], make_gateway: MakeGateway) -> None:
    answer = announce(make_gateway(variables={"UPLOAD_BUCKET": "bucket"}))
    [example] = document["components"]["schemas"]["Upload"]["examples"]
    # The credentials of the tests have no session, as those of a Lambda function have.
    assert example.keys() == answer.keys()
    assert example["fields"].keys() - {"x-amz-security-token"} == answer["fields"].keys()


def test_every_option_and_its_values_are_described(document: dict[str, Any]) -> None:
    for name, fixed in (("measure_image", {"detail"}), ("offer_upload", set()), ("start_job", set())):
        parameters = [each for each in operations(document)[name]["parameters"] if each.get("in") == "query"]
        assert {each["name"] for each in parameters} - fixed == OPTIONS.keys()
        for each in parameters:
            assert each["description"]
            assert each["required"] is False
    method = document["components"]["schemas"]["Method"]
    assert OPTIONS.keys() <= set(method["required"])
