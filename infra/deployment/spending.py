"""What the service spends: for a request, in a month without any, and on the worst day that somebody can make.

`make costs` makes the tables of docs/aws.md from this.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from deployment.prices import usd
from deployment.stack import REPOSITORY, Deployment, template

if TYPE_CHECKING:
    from collections.abc import Mapping

MILLION, GB = 1e6, 1e9
DAY, HOURS, MONTH = 86_400, 730, 730 * 3600
DAYS = HOURS / 24
# What was measured or assumed of this service (docs/benchmarks.md, docs/decisions/start-and-memory.md).
HIT_SECONDS = 0.03
MISS_SECONDS = {"100 KB": 0.1, "4 MB": 0.4}
FILE_BYTES = {"100 KB": 1e5, "4 MB": 4e6}
LOG_BYTES = 2_000
CACHE_UNITS = 3
# SAM keeps an image for each of its functions in a repository of its own, also while there are neither jobs nor runs.
IMAGE_GB = 0.3
BASE64 = 4 / 3
# The default rule of X-Ray's sampling: one request a second, and of the others this share.
SAMPLED = 0.05
# The most that API Gateway takes, whatever becomes of it.
BODY_BYTES = 10e6
# The longest measurement, the template's timeout of the processor.
LONGEST_SECONDS = 24
# The most attempts that a job has, and the longest of each, as the template has them.
JOB_ATTEMPTS, JOB_SECONDS = 3, 900
# The value of a parameter for concurrency that is no bound.
NO_BOUND = -1
# The largest file that everyone may fetch, Swagger's script in /docs. A client need not accept compression.
DOWNLOAD_BYTES = 1.53e6
# The largest file of the page that the firewall does not count as a request, but as a file.
PAGE_FILE_BYTES = 26_100
# The most that API Gateway takes as the first line and the headers of a request. It logs the path as it came.
LONGEST_HEAD_BYTES = 10_240
# S3's limit for one prefix, and how long it takes at most until the brake holds: a metric of one minute that comes some
# minutes late, and IAM.
S3_POSTS_PER_SECOND = 3_500
BRAKE_SECONDS = 600
# S3's metrics of requests for a bucket, which the brake needs. They cost like metrics of one's own, while there are
# requests. https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html#s3-request-cloudwatch-metrics
S3_METRICS = 16
# Lifecycle rules of S3 delete what is older than one day within a further one.
STORED_DAYS = 2


TEMPLATE = template()
JOB_GB = TEMPLATE["Parameters"]["JobMemory"]["Default"] / 1024
GATEWAY_GB, PROCESSOR_GB = (
    TEMPLATE["Resources"][name]["Properties"]["MemorySize"] / 1024 for name in ("GatewayFunction", "ProcessorFunction")
)


def parameters(environment: str) -> dict[str, str]:
    """Return the parameters of a deployment: the template's defaults, and what samconfig.toml sets."""
    defaults = {name: str(each.get("Default", "")) for name, each in TEMPLATE["Parameters"].items()}
    return defaults | Deployment.read(environment, []).chosen


def request() -> float:
    """Return what each request costs, hit or miss, before its work."""
    return usd("REST API", 1) + usd("Lambda requests", 1) + usd("Logs", LOG_BYTES / GB) + usd("X-Ray", SAMPLED)


def hit() -> float:
    """Return what the work of a hit costs."""
    return usd("Lambda time", HIT_SECONDS * GATEWAY_GB) + usd("Cache work", CACHE_UNITS)


def miss(size: str) -> float:
    """Return what the work of a miss costs: the gateway waits for the processor."""
    return usd("Lambda requests", 1) + usd("Lambda time", MISS_SECONDS[size] * (GATEWAY_GB + PROCESSOR_GB))


def through_endpoint(size: str) -> float:
    """Return what it costs that a miss leaves the network of the cache by the endpoint of Lambda."""
    return usd("Endpoint, data", FILE_BYTES[size] * BASE64 / GB)


def through_cloudfront(size: str) -> float:
    """Return what CloudFront takes for a request with a file in it."""
    return usd("CloudFront requests", 1) + usd("CloudFront to the API", FILE_BYTES[size] / GB)


def idle(environment: str) -> dict[str, float]:
    """Return what a month without requests costs, by part."""
    chosen = parameters(environment)
    site, cache, firewall, snapshots = (
        chosen[name] == value
        for name, value in (("Site", "on"), ("Cache", "on"), ("Firewall", "on"), ("SnapStart", "PublishedVersions"))
    )
    alarms = occurrences("Type: AWS::CloudWatch::Alarm", "template.yaml", "infra/monitoring.yaml")
    images = occurrences("Dockerfile: functions/processor/Dockerfile", "template.yaml", "infra/runs.yaml")
    if chosen["JobConcurrency"] == "0":
        # That of lost jobs. Their table, queue and function cost nothing while nobody uses them.
        alarms -= 1
    return {
        "secrets": usd("Secrets", 1 + site + cache),
        f"a dashboard, {alarms} alarms, 5 metrics": usd("Dashboards", 1) + usd("Alarms", alarms) + usd("Metrics", 5),
        f"the processor's image in ECR, {images} times": usd("ECR", images * IMAGE_GB),
        "SnapStart, one version": snapshots * usd("SnapStart, kept", GATEWAY_GB * MONTH),
        "the cache, 0.1 GB": cache * usd("Cache storage", 0.1 * HOURS),
        "Lambda's endpoint in two zones": cache * usd("Endpoint, hours", 2 * HOURS),
        "two firewalls with two and three rules": firewall * (usd("Firewall", 2) + usd("Firewall rules", 5)),
    }


def occurrences(text: str, *templates: str) -> int:
    """Return how often a text is in these templates."""
    return sum((REPOSITORY / name).read_text().count(text) for name in templates)


def worst_day(chosen: Mapping[str, str]) -> dict[str, float]:
    """Return the most that one address can cost in a day, by part, where the firewall is on.

    It sends as much as the firewall lets through, and each POST is what costs most: a ticket of a file that keeps a
    processor for its longest time, until all processors are busy all day, or a form for the largest file. What is left
    of its POSTs has the largest bodies, and asks for forms too.
    """
    requests = int(chosen["RequestsPerAddress"]) / 300 * DAY
    files = int(chosen["FilesPerAddress"]) / 300 * DAY
    posts = int(chosen["PostsPerAddress"]) / 300 * DAY
    forms = float(chosen["UploadsPerSecond"]) * DAY
    bomb = usd("Lambda time", LONGEST_SECONDS * (PROCESSOR_GB + GATEWAY_GB))
    stores = min(posts, forms) if stored(chosen, 1) > bomb else 0
    bombs = min(posts - stores, bounded(chosen, "ProcessorConcurrency") / LONGEST_SECONDS)
    bodies, downloads = posts - stores - bombs, requests - posts
    inline = min(float(chosen["MaxContentLength"]) * BASE64, BODY_BYTES)
    # The firewall of the API counts those apart that do not come through CloudFront.
    asked = 2 * requests
    gets = asked - posts
    waiting = (posts - stores) * LONGEST_SECONDS + (gets + stores) * HIT_SECONDS
    # A few tickets are enough for this: each job has several attempts of 15 minutes.
    working = min(posts * JOB_ATTEMPTS * JOB_SECONDS, bounded(chosen, "JobConcurrency"))
    return {
        "processors, busy as long as they can be": usd("Lambda time", bombs * LONGEST_SECONDS * PROCESSOR_GB)
        + usd("S3 GET", bombs),
        "gateways, waiting for them": usd(
            "Lambda time", min(waiting, bounded(chosen, "GatewayConcurrency")) * GATEWAY_GB
        ),
        "jobs, busy all day": usd("Lambda time", working * JOB_GB),
        "`GET /health/ready`, which measures one pixel": usd("Lambda requests", gets)
        + usd("Lambda time", gets * HIT_SECONDS * PROCESSOR_GB),
        "requests to the API, their logs and traces": asked * (request() + usd("Logs", LONGEST_HEAD_BYTES / GB))
        + usd("X-Ray", DAY),
        "requests to CloudFront, and both firewalls": usd("CloudFront requests", requests)
        + usd("Firewall requests", requests + asked),
        "bodies of 10 MB through CloudFront": usd("CloudFront to the API", bodies * BODY_BYTES / GB),
        "the same through Lambda's endpoint": usd("Endpoint, data", bodies * inline / GB),
        "downloads of the largest file, uncompressed": usd("CloudFront to viewers", downloads * DOWNLOAD_BYTES / GB),
        "files of the page, the largest, uncompressed": usd("CloudFront requests", files)
        + usd("Firewall requests", files)
        + usd("S3 GET", files)
        + usd("CloudFront to viewers", files * PAGE_FILE_BYTES / GB),
        "files sent to S3 as often as the brake allows": usd("S3 POST", int(chosen["UploadsBeforeBrake"]) * DAY / 60),
        "files sent to S3 until the brake holds, once": usd("S3 POST", S3_POSTS_PER_SECOND * BRAKE_SECONDS),
        "uploads of the largest size, stored": stored(chosen, min(stores + bodies, forms)),
        "S3's metrics of requests, for the brake": usd("Metrics", S3_METRICS) / DAYS,
        "what it costs without requests": sum(idle("prod").values()) / DAYS,
    }


def authorizer(chosen: Mapping[str, str]) -> float:
    """Return what one address can cost by tokens, each of which keeps the authorizer as long as it may run."""
    function = TEMPLATE["Resources"]["AuthorizerFunction"]["Properties"]
    # Both firewalls count.
    posts = 2 * int(chosen["PostsPerAddress"]) / 300 * DAY
    return usd("Lambda requests", posts) + usd(
        "Lambda time", posts * function["Timeout"] * function["MemorySize"] / 1024
    )


def bounded(chosen: Mapping[str, str], concurrency: str) -> float:
    """Return the seconds that so many functions have in a day."""
    functions = int(chosen[concurrency])
    return math.inf if functions == NO_BOUND else functions * DAY


def stored(chosen: Mapping[str, str], forms: float) -> float:
    """Return what it costs to keep the largest files that so many forms take, until they are deleted."""
    largest = "MaxUploadBytes" if chosen["JobConcurrency"] == "0" else "MaxJobBytes"
    return usd("S3 storage", forms * float(chosen[largest]) / GB * STORED_DAYS / DAYS)
