"""What a run is said to cost and to take."""

from __future__ import annotations

import pytest

from intensity.runs import estimate
from intensity.runs.estimate import cost_of
from intensity.runs.request import MOST_OBJECTS
from tests.aws.test_costs import usd
from tests.test_deployment import template

FUNCTIONS = template("infra/runs.yaml")["Resources"]


def test_the_prices_of_the_estimate_are_those_of_the_table() -> None:
    assert usd("Lambda time", 1) == pytest.approx(estimate.LAMBDA_GB_SECOND)
    assert usd("Lambda requests", 1) == pytest.approx(estimate.LAMBDA_REQUEST)
    assert usd("S3 GET", 1) == pytest.approx(estimate.S3_GET)
    assert usd("S3 POST", 1) == pytest.approx(estimate.S3_PUT)
    assert usd("Step Functions", 1) == pytest.approx(estimate.STATE_TRANSITION)


def test_the_sizes_of_the_estimate_are_those_of_functions() -> None:
    assert FUNCTIONS["MeasureFunction"]["Properties"]["MemorySize"] / 1024 == estimate.MEASURE_GB
    for name in ("PlanFunction", "ReduceFunction"):
        assert FUNCTIONS[name]["Properties"]["MemorySize"] / 1024 == estimate.TABLES_GB


def test_plan_and_reduce_of_the_largest_run_end_in_time() -> None:
    for name, seconds in (
        ("PlanFunction", estimate.PLAN_SECONDS_PER_OBJECT),
        ("ReduceFunction", estimate.REDUCE_SECONDS_PER_OBJECT),
    ):
        assert MOST_OBJECTS * seconds < FUNCTIONS[name]["Properties"]["Timeout"]


def test_a_million_objects_of_a_megabyte_cost_what_was_computed_by_hand() -> None:
    guess = estimate.estimate(1_000_000, 10**12, 1000)
    assert guess.batches == 10_000
    assert 3.5 < guess.usd < 4.2
    assert 4 < guess.minutes < 7


def test_more_time_costs_more_and_no_object_nothing() -> None:
    assert cost_of(1000.0, 1000) > cost_of(10.0, 1000) > 0
    assert estimate.estimate(0, 0, 400).usd == 0
