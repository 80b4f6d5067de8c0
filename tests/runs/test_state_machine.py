"""What AWS enforces of a state machine and MiniStack does not: sizes, paths, numbers by path, time limits, retries."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from image_intensity import Options, Region
from intensity.runs.estimate import BATCH_OBJECTS
from intensity.runs.layout import Layout
from intensity.runs.options import RunOptions
from intensity.runs.request import MOST_CHILDREN
from intensity.sources.objects import S3Object
from runs.batches import batch_line, entry_of, packed
from tests.runs.conftest import request
from tests.test_deployment import template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.runs.conftest import Run

MACHINE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "infra/runs.asl.json").read_text())
STATES = MACHINE["States"]
CHILD = STATES["Measure"]["ItemProcessor"]["States"]
ONE = CHILD["OneByOne"]["ItemProcessor"]["States"]
TEMPLATE = template("infra/runs.yaml")["Resources"]
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_INPUT_BYTES = 256 * 1024
MOST_EVENTS = 25_000


def tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    for states in (STATES, CHILD, ONE):
        yield from ((name, state) for name, state in states.items() if state["Type"] == "Task")


def paths(value: object) -> set[str]:
    """The fields of the input that a part of the definition reads: of "$.a.b", "a"."""
    return set(re.findall(r'"\$\.(\w+)', json.dumps(value)))


def planned(run: Run, upload: Callable[..., None]) -> dict[str, Any]:
    upload({"a.png": 10})
    return run.planned(request())


def test_every_field_that_the_states_read_is_in_what_plan_returns(run: Run, upload: Callable[..., None]) -> None:
    answer = planned(run, upload)
    outer = {key: value for key, value in STATES["Measure"].items() if key != "ItemProcessor"}
    assert paths(outer) | paths(STATES["IsAnythingLeft"]) <= answer.keys()
    assert paths(outer) >= {"todo", "bucket", "children", "max_concurrency"}


def test_the_number_of_children_is_one_that_step_functions_takes(run: Run, upload: Callable[..., None]) -> None:
    answer = planned(run, upload)
    assert STATES["Measure"]["MaxConcurrencyPath"] == "$.max_concurrency"
    # A map with both would be refused.
    assert "MaxConcurrency" not in STATES["Measure"]
    assert type(answer["max_concurrency"]) is int
    assert 1 <= answer["max_concurrency"] <= MOST_CHILDREN


def test_a_batch_and_an_object_of_it_come_with_the_same_fields() -> None:
    names = [
        {key.removesuffix(".$") for key in each["ItemSelector"]} for each in (STATES["Measure"], CHILD["OneByOne"])
    ]
    assert names[0] == names[1] == {"batch", "run", "options", "method", "version"}
    assert paths(CHILD["OneByOne"]["ItemSelector"]) | paths(CHILD["OneByOne"]["ItemsPath"]) <= names[0]
    batch = json.loads(batch_line(7, [entry_of(S3Object("b", "k"), 0)], single=True))
    assert CHILD["OneByOne"]["ItemSelector"]["batch"].keys() == {"n.$", "single", "objects.$"}
    assert {key.removesuffix(".$") for key in CHILD["OneByOne"]["ItemSelector"]["batch"]} == batch.keys()


@pytest.mark.parametrize("character", ["k", '"', "\\", "\x01", "é", "💡"])
def test_the_largest_batch_fits_into_the_input_of_a_state(character: str) -> None:
    key = character * (1024 // len(character.encode()))
    endless = ((S3Object("b" * 63, key, f"{number:032d}", "e" * 40, None), None) for number in count())
    batch = next(packed(endless)).entries
    state_input = {
        "batch": json.loads(batch_line(999_999, batch)),
        "run": "j" * 60,
        "options": RunOptions(
            measuring=Options(region=Region.read("9999999999,9999999999,9999999999,9999999999"))
        ).values(),
        "method": "f" * 16,
        "version": "v" * 200,
    }
    assert 100_000 < len(json.dumps(state_input, ensure_ascii=False).encode()) <= MOST_INPUT_BYTES


def test_a_state_waits_longer_than_its_function_takes() -> None:
    for name, state in tasks():
        function = re.findall(r"\$\{(\w+)\}", json.dumps(state["Parameters"]))[0]
        assert state["TimeoutSeconds"] > TEMPLATE[function]["Properties"]["Timeout"], name


def test_every_call_of_a_function_is_tried_again_when_lambda_is_in_trouble() -> None:
    wanted = {
        *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
        "Lambda.TooManyRequestsException",
    }
    for name, state in tasks():
        assert {error for retry in state["Retry"] for error in retry["ErrorEquals"]} == wanted, name


def throttled(state: dict[str, Any]) -> dict[str, Any]:
    """What is done where Lambda has no function free."""
    retries: list[dict[str, Any]] = state["Retry"]
    (retry,) = [retry for retry in retries if "Lambda.TooManyRequestsException" in retry["ErrorEquals"]]
    return retry


def delays(retry: dict[str, Any]) -> Iterator[float]:
    """The longest times between attempts: with full jitter, each is a random part of this."""
    assert retry["JitterStrategy"] == "FULL"
    for number in range(retry["MaxAttempts"]):
        delay = retry["IntervalSeconds"] * retry["BackoffRate"] ** min(number, 60)
        yield min(delay, retry.get("MaxDelaySeconds", delay))


LONGEST = TEMPLATE["MeasureFunction"]["Properties"]["Timeout"]


def test_a_batch_that_finds_no_function_free_waits_longer_than_functions_take_at_most() -> None:
    # With full jitter, half of the longest time on average.
    batch, one = (sum(delays(throttled(state))) / 2 for state in (CHILD["Batch"], ONE["One"]))
    assert batch > 9 * LONGEST
    assert one > LONGEST


def test_a_child_that_is_refused_as_often_as_it_can_be_does_not_fill_its_history() -> None:
    def events(state: dict[str, Any]) -> int:
        # The state's begin and end, and for each attempt: scheduled, started, failed.
        attempts: int = 1 + sum(retry["MaxAttempts"] for retry in state["Retry"])
        return 2 + 3 * attempts

    # Of each object also the iteration and what follows where there is no row.
    one_by_one = BATCH_OBJECTS * (events(ONE["One"]) + 4)
    assert events(CHILD["Batch"]) + one_by_one + 10 < MOST_EVENTS


def test_a_crash_leads_to_one_by_one_and_a_second_one_to_no_row() -> None:
    assert CHILD["Batch"]["Catch"][-1] == {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "OneByOne"}
    assert ONE["One"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "NoRow"}]
    # A map that ends at a failed child would leave out Reduce.
    assert STATES["Measure"]["ToleratedFailurePercentage"] == 100


def test_rows_do_not_go_through_the_state_machine_and_stopping_a_run_stops_its_children() -> None:
    measure = STATES["Measure"]
    assert (measure["ResultWriter"]["Parameters"].keys(), measure["ResultPath"]) == ({"Bucket.$", "Prefix.$"}, None)
    assert measure["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_the_template_puts_in_every_function_that_the_definition_names() -> None:
    named = set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINE)))
    assert named == set(TEMPLATE["Runs"]["Properties"]["DefinitionSubstitutions"])


def test_what_step_functions_reads_and_writes_is_where_its_role_may() -> None:
    layout = Layout("first")
    assert layout.todo("first_2").startswith("work/")
    assert layout.children.startswith("work/")
