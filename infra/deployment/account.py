"""What `make deploy` asks of the account before it deploys, and the sentences that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deployment.stack import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_cloudfront import CloudFrontClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_lambda import LambdaClient

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
NEVER_RESERVED = 100
BOUNDS = ("ProcessorConcurrency", "GatewayConcurrency", "JobConcurrency")


def check_concurrency(
    client: LambdaClient, environment: str, wanted: Mapping[str, int], functions: Iterable[str]
) -> None:
    """Raise SystemExit if the account cannot reserve what is wanted.

    environment: the deployment's name in samconfig.toml. wanted: functions at a time by the name of the parameter; -1:
    no reservation. functions: those of the present stack, whose reservations are free again.
    """
    limit = client.get_account_settings()["AccountLimit"]
    own = sum(
        client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", 0) for name in functions
    )
    left = max(limit["UnreservedConcurrentExecutions"] + own - NEVER_RESERVED, 0)
    asked = {name: number for name, number in wanted.items() if number > 0}
    if sum(asked.values()) <= left:
        return
    total = limit["ConcurrentExecutions"]
    raise SystemExit(
        f"{' and '.join(f'{name}={number}' for name, number in asked.items())} cannot be reserved: this account runs "
        f"{total} functions at a time in this region, and {left} of them can be reserved ({NEVER_RESERVED} never can). "
        "Ask AWS for more, which costs nothing: Service Quotas, AWS Lambda, Concurrent executions. Until then, deploy "
        f"without bounds of its own; the {total} of the account are the bound. Of 10, API Gateway then lets half be "
        "gateways, so that processors are left, if there are few requests a second:\n\n    "
        f'make deploy ENV={environment} PARAMETERS="{" ".join(f"{name}=-1" for name in asked)} RequestsPerSecond=2"'
    )


def zones_for_the_cache(client: EC2Client, environment: str, region: str) -> tuple[str, str]:
    """Return two availability zones that have the endpoint of ElastiCache's API. Raises SystemExit.

    environment: as above. That is a guess: a serverless cache has an endpoint service of its own, whose zones nobody
    can ask for before there is such a cache.
    """
    # Asked by its name, a service that is not there would be an error.
    names: Any = [{"Name": "service-name", "Values": [f"com.amazonaws.{region}.elasticache"]}]
    found = client.describe_vpc_endpoint_services(Filters=names)
    zones = {zone for detail in found["ServiceDetails"] for zone in detail["AvailabilityZones"]}
    match sorted(zones):
        case [first, second, *_]:
            return first, second
    raise SystemExit(
        f"{region} has no two availability zones with ElastiCache. Choose another region, or deploy without "
        f'the cache: make deploy ENV={environment} PARAMETERS="Cache=off"'
    )


def has_log_role(client: APIGatewayClient) -> bool:
    """Return whether API Gateway has a role in this account and region with which it may write logs."""
    return bool(client.get_account().get("cloudwatchRoleArn"))


def tell_of_the_first_distribution(client: CloudFrontClient, environment: str) -> None:
    """Tell a person what may stop a deployment with a page, if the account never had a distribution."""
    if client.list_distributions(MaxItems="1")["DistributionList"].get("Quantity"):
        return
    tell(
        "This account has no distribution of CloudFront yet. AWS verifies new accounts before they may make one; until "
        'then, a deployment with a page is rolled back after some minutes ("Your account must be verified"). If that '
        "happens, ask AWS Support for it, or deploy without a page: "
        f'make deploy ENV={environment} PARAMETERS="Site=off"'
    )
