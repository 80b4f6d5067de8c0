"""What bounds a bill holds: the worst days are computed from the template, with the prices in docs/aws-costs.md."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from deployment.stack import Deployment, defaults
from tests.aws.test_bounds import PAGE_FILE_BYTES
from tests.aws.translation import REPOSITORY
from tests.test_deployment import TEMPLATE
from tests.test_house import rows

COSTS = REPOSITORY / "docs/aws-costs.md"
PRICES = {name: (float(price), unit) for name, price, unit in rows("docs/aws-costs.md", "Prices")}
GB, DAY, DAYS = 1e9, 86_400, 730 / 24
RESOURCES = TEMPLATE["Resources"]
GATEWAY, PROCESSOR = (RESOURCES[each]["Properties"] for each in ("GatewayFunction", "ProcessorFunction"))
GATEWAY_GB, PROCESSOR_GB = GATEWAY["MemorySize"] / 1024, PROCESSOR["MemorySize"] / 1024
# The most that API Gateway takes of a body, and of the first line and the headers, which it logs.
BODY_BYTES, HEAD_BYTES = 10e6, 10_240
# Swagger's script, and the description of the API: a client need not accept compression.
SCRIPT_BYTES, DESCRIPTION_BYTES = 1.53e6, 160_000
# How long an answer without a measurement takes, and what a line of a log has.
SHORT_SECONDS, LINE_BYTES = 0.03, 2_000
# S3's limit for one prefix, and how long it takes at most until the brake holds: SQS's metric of a minute, and IAM.
POSTS_TO_S3, BRAKE_SECONDS = 3_500, 240
# Lifecycle rules of S3 delete what is older than one day within a further one.
STORED_DAYS = 2


def usd(name: str, amount: float) -> float:
    """The price of an amount, in the unit without its factor: of requests, not of million requests."""
    price, unit = PRICES[name]
    return price * amount / (1e6 if unit.startswith("million") else 1e3 if unit.startswith("thousand") else 1)


def parameters(environment: str) -> dict[str, str]:
    return defaults() | Deployment.read(environment).configured


def functions(chosen: dict[str, str]) -> float:
    """Both functions, busy all day, whoever calls them."""
    gb = int(chosen["ProcessorConcurrency"]) * PROCESSOR_GB + int(chosen["GatewayConcurrency"]) * GATEWAY_GB
    return usd("Lambda time", gb * DAY)


def answering(requests: float) -> float:
    """What requests to the API cost that measure nothing, with the longest path in each line of a log."""
    each = usd("REST API", 1) + 2 * usd("Lambda requests", 1) + usd("Logs", (LINE_BYTES + HEAD_BYTES) / GB)
    each += usd("Lambda time", SHORT_SECONDS * (GATEWAY_GB + PROCESSOR_GB)) + 0.05 * usd("X-Ray", 1)
    return requests * each + usd("X-Ray", DAY)


def floods() -> float:
    """A form that is sent to S3 as fast as it goes, each time the brake has let go; and as often as it never holds."""
    alarm = RESOURCES["TooManyUploads"]["Properties"]
    pulls = DAY / (alarm["Period"] * alarm["EvaluationPeriods"])
    return usd("S3 POST", pulls * POSTS_TO_S3 * BRAKE_SECONDS + alarm["Threshold"] * DAY / alarm["Period"])


def stranger_of_dev() -> float:
    """Anybody without a key, with any number of addresses, where there is neither page nor firewall."""
    chosen = parameters("default")
    requests = float(chosen["RequestsPerSecond"]) * DAY
    scripts = DAY
    sent = scripts * SCRIPT_BYTES + (requests - scripts) * DESCRIPTION_BYTES
    return answering(requests) + usd("API Gateway to viewers", sent / GB)


def person_in_prod(chosen: dict[str, str]) -> float:
    """One address, and one key if keys are needed, behind the firewall."""
    requests, posts = (int(chosen[name]) * DAY / 300 for name in ("RequestsPerAddress", "PostsPerAddress"))
    if chosen["Access"] == "keys":
        posts = min(posts, int(chosen["KeyRequestsPerDay"]))
    seconds = PROCESSOR["Timeout"]
    bombs = min(posts, int(chosen["ProcessorConcurrency"]) * DAY / seconds)
    stored = usd("S3 storage", min(posts, DAY) * float(chosen["MaxUploadBytes"]) / GB * STORED_DAYS / DAYS)
    measuring = usd("Lambda time", bombs * seconds * (PROCESSOR_GB + GATEWAY_GB)) + usd("S3 GET", bombs)
    files_of_page = 1000 * DAY / 300
    sent = (requests - posts) * SCRIPT_BYTES + files_of_page * PAGE_FILE_BYTES
    through = usd("CloudFront requests", requests + files_of_page) + usd("CloudFront to viewers", sent / GB)
    firewalls = usd("Firewall requests", 3 * requests + files_of_page)
    bodies = usd("CloudFront to the API", (posts - bombs) * BODY_BYTES / GB)
    # The firewall of the API counts those apart that do not come through CloudFront. A POST is used for one thing.
    return answering(2 * requests) + max(measuring, stored) + through + firewalls + bodies + floods() + MONTH / DAYS


# Of production without requests, as docs/aws-costs.md has it.
MONTH = float(re.findall(r"^\| together \| [\d.]+ \| ([\d.]+) \|$", COSTS.read_text(), re.MULTILINE)[0])


def table() -> dict[str, float]:
    return {what: float(cost) for what, cost in rows("docs/aws-costs.md", "The worst day")}


def test_the_worst_days_are_under_50_usd_and_as_the_document_says() -> None:
    prod = parameters("prod")
    computed = {
        "a stranger at the API of `make deploy`": stranger_of_dev(),
        "a stranger at the page of production": person_in_prod({**prod, "KeyRequestsPerDay": "0"}) - floods(),
        "one address with one key in production": person_in_prod(prod),
        "both functions of production busy all day": functions(prod),
    }
    assert {what: round(cost, 2) for what, cost in computed.items()} == {
        what: cost for what, cost in table().items() if what in computed
    }
    assert max(computed.values()) < 50


def test_what_has_no_such_bound_is_said() -> None:
    prod = parameters("prod")
    assert round(person_in_prod({**prod, "Access": "open"}), 2) == table()["the same with `Access=open`"]
    free = {"ProcessorConcurrency": "1000", "PostsPerAddress": "6000", "Access": "open"}
    assert person_in_prod({**prod, **free}) > 500


def test_no_file_that_everyone_may_fetch_is_larger_than_the_costs_assume() -> None:
    page = [file for file in (REPOSITORY / "static_site").rglob("*") if file.is_file()]
    swagger = files("fastapi_offline").joinpath("static")
    sizes = [*(file.stat().st_size for file in page), *(len(file.read_bytes()) for file in swagger.iterdir())]
    assert max(sizes) <= SCRIPT_BYTES <= 1.01 * max(sizes)
    assert (REPOSITORY / "docs/openapi.json").stat().st_size <= DESCRIPTION_BYTES


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        # As AWS's pages say it.
        (usd("REST API", 1_000_000), 3.50),
        (usd("S3 POST", 1_000), 0.005),
        (usd("Lambda time", 1), 0.0000166667),
        # One form replayed at S3's limit for a day: what the brake is there for.
        (usd("S3 POST", 3_500 * 86_400), 1_512),
    ],
)
def test_a_price_is_for_its_unit(amount: float, expected: float) -> None:
    assert amount == pytest.approx(expected)


def test_the_table_of_parameters_is_the_templates() -> None:
    documented = [
        (name.strip("`"), default.strip("`"), text)
        for name, default, text in rows("docs/aws-parameters.md", "Parameters of the template")
    ]
    in_template = [(name, str(each["Default"]), each["Description"]) for name, each in TEMPLATE["Parameters"].items()]
    assert documented == in_template, "docs/aws-parameters.md"
