"""What `make deploy` asks of the account before it deploys, and the sentences that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_apigateway import APIGatewayClient
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
        f"without bounds of its own; the {total} of the account are the bound:\n\n    "
        f'make deploy ENV={environment} PARAMETERS="{" ".join(f"{name}=-1" for name in asked)}"'
    )


def zones_for_the_cache(client: EC2Client, environment: str, region: str) -> tuple[str, str]:
    """Return two availability zones that have the endpoints of both Lambda and ElastiCache's API. Raises SystemExit.

    environment: as above. The gateway needs the endpoint of Lambda. That of ElastiCache's API is a guess: a serverless
    cache has an endpoint service of its own, com.amazonaws.elasticache.serverless.REGION.vpce-svc-ID, whose zones
    nobody can ask for before there is such a cache.
    """
    names = [f"com.amazonaws.{region}.{service}" for service in ("lambda", "elasticache")]
    # Asked by its name, a service that is not there would be an error.
    found = client.describe_vpc_endpoint_services(Filters=[{"Name": "service-name", "Values": names}])
    zones = [set(detail["AvailabilityZones"]) for detail in found["ServiceDetails"]]
    match sorted(set.intersection(*zones)) if len(zones) == len(names) else []:
        case [first, second, *_]:
            return first, second
    raise SystemExit(
        f"{region} has no two availability zones with Lambda and ElastiCache. Choose another region, or deploy without "
        f'the cache: make deploy ENV={environment} PARAMETERS="Cache=off"'
    )


def has_log_role(client: APIGatewayClient) -> bool:
    """Return whether API Gateway has a role in this account and region with which it may write logs."""
    return bool(client.get_account().get("cloudwatchRoleArn"))
