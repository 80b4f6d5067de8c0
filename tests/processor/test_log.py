"""The processor's log: each invocation is a line with both ids, so that a killed process can be matched."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from contract.invocation import Invocation
from processor import handler
from tests.core.images import encode, noise

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = encode(noise("RGB", (9, 7)), "PNG")
EVENT = Invocation(image=IMAGE, allowed_formats=("PNG",), max_pixels=63, request_id="id-1").to_event()
CONTEXT = SimpleNamespace(aws_request_id="lambda-1")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The lines of the log so far."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_invocation_begins_with_a_line_that_has_our_id_and_lambdas(
    monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    written = []

    def killed(*_: object) -> None:
        # If a process is killed here, the file has what was written until now.
        written.extend(lines())
        raise SystemExit

    monkeypatch.setattr(handler, "measure", killed)
    with pytest.raises(SystemExit):
        handler.lambda_handler(EVENT, CONTEXT)
    [line] = written
    assert (line["message"], line["request_id"], line["invocation_id"]) == ("invocation", "id-1", "lambda-1")


def test_a_crash_is_logged_with_the_id_and_raised_again(
    monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError("what the image has: very-own")

    monkeypatch.setattr(handler, "measure", fault)
    with pytest.raises(RuntimeError, match="very-own"):
        handler.lambda_handler(EVENT, CONTEXT)
    _, line = lines()
    assert (line["level"], line["message"], line["request_id"]) == ("ERROR", "invocation failed", "id-1")
    assert line["error"] == "RuntimeError"
    assert "very-own" not in json.dumps(line)


def test_an_event_that_cannot_be_read_is_logged_with_its_id(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with pytest.raises(TypeError):
        handler.lambda_handler({**EVENT, "image": None}, CONTEXT)
    assert [line["request_id"] for line in lines()] == ["id-1", "id-1"]


def test_the_log_has_nothing_of_the_image_and_a_problem_is_no_crash(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    handler.lambda_handler(EVENT, CONTEXT)
    handler.lambda_handler({**EVENT, "image": EVENT["image"][:40]}, CONTEXT)
    logged = lines()
    assert [line["message"] for line in logged] == ["invocation", "invocation"]
    assert EVENT["image"][:16] not in json.dumps(logged)


def test_an_event_of_an_older_gateway_has_no_id(lines: Callable[[], list[dict[str, Any]]]) -> None:
    handler.lambda_handler({name: value for name, value in EVENT.items() if name != "request_id"}, None)
    assert [(line["request_id"], line["invocation_id"]) for line in lines()] == [("", "")]
