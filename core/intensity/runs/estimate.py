"""What a run costs and how long it takes, from the number of its objects and their bytes.

List prices of us-east-1, in USD; docs/aws-costs.md has where they are from, and a test compares. Transfer within the
region costs nothing. What is stored, logged and traced is not counted; it is a few cents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from image_intensity import DEFAULT_FORMATS, FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image_intensity import ImageFormat

LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20 / 1e6
S3_GET = 0.0004 / 1e3
S3_PUT = 0.005 / 1e3
STATE_TRANSITION = 0.025 / 1e3

MEASURE_GB = 1769 / 1024
TABLES_GB = 2048 / 1024
# The most of a batch; a larger object is a batch by itself. With the memory of Measure, this takes up to a minute.
BATCH_OBJECTS = 100
BATCH_BYTES = 200_000_000
# Each object costs some time, whatever its size.
SECONDS_PER_OBJECT = 0.01
# Step Functions starts a hundred Standard children a second.
CHILDREN_PER_SECOND = 100
# S3 takes so many requests for keys with the same beginning. Where it has seen many, it takes more.
GETS_PER_SECOND = 5_500
# Of Plan and Reduce: a thousand objects a listing, a batch a request with 16 at a time, and the rows themselves.
PLAN_SECONDS_PER_OBJECT = 0.00012
REDUCE_SECONDS_PER_OBJECT = 0.00006
START_SECONDS = 15
# Into the child, its state and out of it; a batch that crashes takes more.
TRANSITIONS_PER_BATCH = 2


class Estimate(NamedTuple):
    """What a run probably takes. usd: without taxes and free tiers."""

    batches: int
    minutes: float
    usd: float


def estimate(objects: int, size: int, concurrency: int, formats: Iterable[ImageFormat] = DEFAULT_FORMATS) -> Estimate:
    """Return the estimate for so many objects of `size` bytes together, measured so many batches at a time.

    Of the formats, they may all be of the one that takes the most time.
    """
    batches = max(-(-objects // BATCH_OBJECTS), -(-size // BATCH_BYTES))
    busy = size * max(FORMATS[name].seconds_per_byte for name in formats) + objects * SECONDS_PER_OBJECT
    tables = objects * (PLAN_SECONDS_PER_OBJECT + REDUCE_SECONDS_PER_OBJECT)
    measuring = max(busy / max(1, min(concurrency, batches)), batches / CHILDREN_PER_SECOND, objects / GETS_PER_SECOND)
    usd = (
        (busy * MEASURE_GB + tables * TABLES_GB) * LAMBDA_GB_SECOND
        + batches * (LAMBDA_REQUEST + TRANSITIONS_PER_BATCH * STATE_TRANSITION)
        # Each object is read. Each part is looked for, written and read.
        + (objects + 2 * batches) * S3_GET
        + (batches + objects / 1000) * S3_PUT
    )
    return Estimate(batches, (START_SECONDS + tables + measuring) / 60, usd)


def cost_of(seconds: float, objects: int) -> float:
    """Return what a run has cost whose measuring functions were busy for so many seconds together, in USD."""
    guessed = objects * SECONDS_PER_OBJECT
    return estimate(objects, 0, 1).usd + (seconds - guessed) * MEASURE_GB * LAMBDA_GB_SECOND
