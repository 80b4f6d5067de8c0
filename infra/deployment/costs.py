"""`make costs`: compute the tables of costs in docs/aws.md from the list of prices here and the template's defaults.

Each table in the document stands between two comments, `costs: NAME` and `end of costs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployment.prices import PRICES, usd
from deployment.spending import (
    CACHE_UNITS,
    DAY,
    DAYS,
    FILE_BYTES,
    GATEWAY_GB,
    GB,
    JOB_GB,
    MILLION,
    PROCESSOR_GB,
    STORED_DAYS,
    authorizer,
    hit,
    idle,
    miss,
    parameters,
    request,
    through_cloudfront,
    through_endpoint,
    worst_day,
)
from deployment.stack import REPOSITORY
from intensity.runs.estimate import CHILDREN_PER_SECOND, TRANSITIONS_PER_BATCH, estimate
from intensity.runs.request import MOST_OBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = REPOSITORY / "docs/aws.md"


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown; the first row is its head."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{' --- |' * len(rows[0])}", *body])


def money(amount: float) -> str:
    """Return an amount in USD with two digits."""
    return f"{amount:,.2f}"


def prices() -> str:
    """Return the list of prices with their sources."""
    rows = [
        (name, f"{price.usd:.10f}".rstrip("0").rstrip("."), price.unit, price.source.removeprefix("https://"))
        for name, price in PRICES.items()
    ]
    return table(("what", "USD", "for one", "source"), *rows)


def million_requests() -> str:
    """Return what a million requests cost, by the share of hits and by where they come from."""
    head = (
        "one million requests",
        "without a cache",
        "cache, half hits",
        "cache, nine in ten hits",
        "CloudFront, more",
    )
    rows = []
    for size in FILE_BYTES:
        misses = miss(size) + through_endpoint(size) + usd("Cache work", 2 * CACHE_UNITS)
        costs = [request() + miss(size)]
        costs += [request() + share * hit() + (1 - share) * misses for share in (0.5, 0.9)]
        rows.append((size, *(money(MILLION * cost) for cost in (*costs, through_cloudfront(size)))))
    return table(head, *rows)


def million_large() -> str:
    """Return what it costs to send large images one way and the other, where the cache is on."""
    upload = 2 * request() + usd("S3 POST", 1) + usd("S3 GET", 1)
    stored = usd("S3 storage", STORED_DAYS / DAYS)
    rows: list[tuple[str, ...]] = [("one million images of 4 MB, cache on", "in the request", "uploaded first")]
    inline = (request(), through_cloudfront("4 MB"), through_endpoint("4 MB"), miss("4 MB"))
    gigabytes = FILE_BYTES["4 MB"] / GB
    uploaded = (upload, 2 * usd("CloudFront requests", 1), stored * gigabytes, miss("4 MB"))
    names = ("requests, logs, S3's requests", "CloudFront", "Lambda's endpoint; storage of S3", "measuring")
    rows += [
        (name, *(money(MILLION * cost) for cost in pair)) for name, *pair in zip(names, inline, uploaded, strict=True)
    ]
    return table(*rows, ("together", money(MILLION * sum(inline)), money(MILLION * sum(uploaded))))


def month() -> str:
    """Return what a month without requests costs, in both deployments."""
    development, production = idle("default"), idle("prod")
    rows = [(name, money(cost), money(production[name])) for name, cost in development.items()]
    total = ("together", money(sum(development.values())), money(sum(production.values())))
    return table(("a month without requests", "`make deploy`", "`make deploy ENV=prod`"), *rows, total)


def day() -> str:
    """Return the worst bill of a day in production."""
    parts = worst_day(parameters("prod"))
    rows = [(name, money(cost)) for name, cost in parts.items()]
    return table(("worst day in production, from one address", "USD"), *rows, ("together", money(sum(parts.values()))))


def others() -> str:
    """Return the figures that stand beside the worst day."""
    chosen = parameters("prod")
    processors, gateways = int(chosen["ProcessorConcurrency"]), int(chosen["GatewayConcurrency"])
    both = processors * PROCESSOR_GB + gateways * GATEWAY_GB
    # All but the functions, which are busy already, and what does not depend on addresses.
    without = worst_day({**chosen, "ProcessorConcurrency": "0", "GatewayConcurrency": "0"})
    further = sum(cost for name, cost in without.items() if "brake" not in name and "without requests" not in name)

    # Without forms, S3 is out of reach.
    strangers = sum(
        cost for name, cost in worst_day({**chosen, "PostsPerAddress": "0"}).items() if "sent to S3" not in name
    )

    def day_with(**other: str) -> str:
        return money(sum(worst_day({**chosen, **other}).values()))

    return table(
        ("beside it", "USD a day"),
        ("both functions busy all day, by any number of addresses", money(usd("Lambda time", both * DAY))),
        ("`JobConcurrency=1`: a job of 10 GB all day", money(usd("Lambda time", JOB_GB * DAY))),
        ("the day above with `JobConcurrency=1`: jobs, and uploads of 2 GB, stored", day_with(JobConcurrency="1")),
        (
            "the day above with `JobConcurrency=1 MaxJobBytes=400000000`",
            day_with(JobConcurrency="1", MaxJobBytes="400000000"),
        ),
        ("one address without an API key, where each POST needs one", money(strangers)),
        ("`Access=jwt`: the authorizer, if the issuer does not answer", money(authorizer(chosen))),
        ("each further address adds, at most", money(further)),
        ("a flood of 1,000 requests a second that the firewall refuses", money(usd("Firewall requests", 1000 * DAY))),
        (
            "the day above with `PostsPerAddress=1000 RequestsPerAddress=2000`",
            day_with(PostsPerAddress="1000", RequestsPerAddress="2000"),
        ),
    )


def runs() -> str:
    """Return what runs take. Ten million objects are several runs, one after another."""
    concurrency = int(parameters("prod")["RunsConcurrency"])
    head = ("a run over", "of 20 KB: minutes", "USD", "of 1 MB: minutes", "USD", "of 4 MB: minutes", "USD")
    rows = []
    for objects in (10_000, 100_000, 1_000_000, 10_000_000):
        parts = -(-objects // MOST_OBJECTS)
        cells = [f"{objects:,} objects" + (f", {parts} runs" if parts > 1 else "")]
        for size in (2e4, 1e6, 4e6):
            guess = estimate(objects // parts, int(objects // parts * size), concurrency)
            cells += [f"{parts * guess.minutes:,.1f}", money(parts * guess.usd)]
        rows.append(tuple(cells))
    return table(head, *rows)


def run_batches() -> str:
    """Return what a million objects of 1 MB take in batches of other sizes, at a thousand batches at a time."""
    chosen = estimate(1_000_000, 10**12, 1000)
    transitions = chosen.batches * TRANSITIONS_PER_BATCH
    others = chosen.usd - usd("Step Functions", transitions) - usd("Lambda requests", chosen.batches)
    rows = []
    for size in (1, 10, 100):
        batches = 1_000_000 // size
        cost = others + usd("Step Functions", batches * TRANSITIONS_PER_BATCH) + usd("Lambda requests", batches)
        rows.append((str(size), money(cost), f"{batches / CHILDREN_PER_SECOND / 60:,.1f}"))
    return table(("objects in a batch", "USD", "minutes to start the children"), *rows)


TABLES: dict[str, Callable[[], str]] = {
    "prices": prices,
    "million requests": million_requests,
    "million large": million_large,
    "month": month,
    "day": day,
    "others": others,
    "runs": runs,
    "batches of runs": run_batches,
}


def render(document: str) -> str:
    """Return `document` with all tables computed again."""
    for name, make in TABLES.items():
        before, begin, rest = document.partition(f"<!-- costs: {name} -->\n")
        _, end, after = rest.partition("\n<!-- end of costs -->")
        if not begin or not end:
            raise SystemExit(f"{DOCUMENT} has no place for the table {name!r}.")
        document = before + begin + make() + end + after
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
