"""The costs in the document are what the script computes, and production has the bound that is promised."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from deployment import costs, spending
from deployment.prices import LOOKED_UP, PRICES, usd
from tests.aws.translation import REPOSITORY
from tests.test_deployment import TEMPLATE
from tests.test_house import rows


def test_the_tables_of_costs_are_the_scripts() -> None:
    document = costs.DOCUMENT.read_text()
    assert document == costs.render(document), "docs/aws.md is out of date: make costs"


def test_a_document_without_a_place_for_a_table_is_told() -> None:
    with pytest.raises(SystemExit, match="no place for the table"):
        costs.render("nothing")


def test_the_worst_day_in_production_is_under_50_usd() -> None:
    assert sum(spending.worst_day(spending.parameters("prod")).values()) < 50


def test_without_its_bounds_the_worst_day_would_be_far_over_that() -> None:
    free = {"ProcessorConcurrency": "1000", "GatewayConcurrency": "1000", "PostsPerAddress": "6000"}
    assert sum(spending.worst_day({**spending.parameters("prod"), **free}).values()) > 1000


def test_jobs_are_in_the_worst_day_where_there_are_any() -> None:
    chosen = spending.parameters("prod")
    without, one, free = (spending.worst_day({**chosen, "JobConcurrency": number}) for number in ("0", "1", "-1"))
    jobs, stored = "jobs, busy all day", "uploads of the largest size, stored"
    assert (without[jobs], without[stored]) == (0, 0)
    # 10 GB, all day.
    assert one[jobs] == pytest.approx(14.40, abs=0.01)
    # As many forms as one address gets, for 2 GB each, kept for two days.
    assert one[stored] == pytest.approx(int(chosen["PostsPerAddress"]) * 288 * 2 * 0.023 * 2 * 24 / 730)
    assert free[jobs] > 100 * one[jobs]


def test_a_post_is_used_for_what_costs_most() -> None:
    chosen = {**spending.parameters("prod"), "JobConcurrency": "1"}
    sums = [sum(spending.worst_day({**chosen, "MaxJobBytes": size}).values()) for size in ("1", "1e9", "2e9")]
    assert sums == sorted(sums)
    # With files of a byte, nobody would store them: processors and jobs are busy.
    assert sums[0] == pytest.approx(
        sum(spending.worst_day({**chosen, "JobConcurrency": "0"}).values()) + 14.40, abs=0.01
    )


def test_no_file_that_everyone_may_fetch_is_larger_than_the_costs_assume() -> None:
    page = [file for file in (REPOSITORY / "static_site").rglob("*") if file.is_file()]
    swagger = files("fastapi_offline").joinpath("static")
    sizes = [*(file.stat().st_size for file in page), *(len(file.read_bytes()) for file in swagger.iterdir())]
    assert max(sizes) <= spending.DOWNLOAD_BYTES <= 1.01 * max(sizes)


def test_a_job_costs_as_often_and_as_long_as_the_template_lets_it() -> None:
    job = TEMPLATE["Resources"]["JobFunction"]["Properties"]
    assert job["Timeout"] == spending.JOB_SECONDS
    assert job["EventInvokeConfig"]["MaximumRetryAttempts"] + 1 == spending.JOB_ATTEMPTS


def test_the_metrics_that_the_brake_needs_are_paid_for() -> None:
    assert TEMPLATE["Resources"]["TooManyUploads"]["Properties"]["Namespace"] == "AWS/S3"
    month = spending.worst_day(spending.parameters("prod"))["S3's metrics of requests, for the brake"] * spending.DAYS
    assert f"{month:.2f} USD a month" in costs.DOCUMENT.read_text()


def test_the_functions_alone_are_under_50_usd_whoever_calls_them() -> None:
    chosen = spending.parameters("prod")
    busy = int(chosen["ProcessorConcurrency"]) * spending.PROCESSOR_GB
    waiting = int(chosen["GatewayConcurrency"]) * spending.GATEWAY_GB
    assert usd("Lambda time", (busy + waiting) * spending.DAY) < 50


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        # As AWS's pages say it.
        (usd("REST API", 1_000_000), 3.50),
        (usd("S3 POST", 1_000), 0.005),
        (usd("Lambda time", 1), 0.0000166667),
        (usd("Cache storage", 0.1 * 730), 6.132),
        # One form replayed at S3's limit for a day: what the brake is there for.
        (usd("S3 POST", 3_500 * 86_400), 1_512),
    ],
)
def test_a_price_is_for_its_unit(amount: float, expected: float) -> None:
    assert amount == pytest.approx(expected)


def test_every_price_has_a_page_of_aws_and_the_document_says_when_it_was_looked_up() -> None:
    assert all(price.source.startswith("https://aws.amazon.com/") for price in PRICES.values())
    assert f"looked up on {LOOKED_UP}" in costs.DOCUMENT.read_text()


def test_the_longest_measurement_is_the_processors_timeout() -> None:
    assert TEMPLATE["Resources"]["ProcessorFunction"]["Properties"]["Timeout"] == spending.LONGEST_SECONDS


def test_the_table_of_parameters_is_the_templates() -> None:
    documented = [
        (name.strip("`"), default.strip("`"), text) for name, default, text in rows("docs/aws.md", "Parameters")
    ]
    in_template = [(name, str(each["Default"]), each["Description"]) for name, each in TEMPLATE["Parameters"].items()]
    assert documented == in_template, "docs/aws.md, Parameters"


def test_the_commands_in_the_checklist_and_the_document_are_targets_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    for name in ("docs/aws.md", "docs/aws-checklist.md", ".github/workflows/deploy.yml"):
        used = set(re.findall(r"(?:`|run: |^)make ([a-z0-9]+)", (REPOSITORY / name).read_text(), re.MULTILINE))
        assert used
        assert used <= targets, name
