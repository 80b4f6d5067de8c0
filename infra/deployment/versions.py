"""Versions of the gateway and the processor: two of each stay, so that a rollback by hand needs no build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from deployment.stack import Deployment, resources

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

VERSIONED = {"GatewayFunction", "ProcessorFunction"}


def keep_two(deployment: Deployment) -> None:
    """Delete all versions of the two functions but the newest two."""
    client = boto3.client("lambda")
    for logical_id, _, name in resources(deployment.stack):
        if logical_id in VERSIONED and name:
            for version in too_old(client, name):
                client.delete_function(FunctionName=name, Qualifier=version)


def too_old(client: LambdaClient, function: str) -> list[str]:
    """Return the versions of a function that can go. What an alias names stays, however old it is."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    numbers = sorted(
        int(each["Version"]) for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"
    )
    named: set[str] = set()
    for alias in client.list_aliases(FunctionName=function)["Aliases"]:
        named |= {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    return [str(number) for number in numbers[:-2] if str(number) not in named]
