"""A release: the hash of what is deployed, and the versions of functions that stay of earlier ones."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_lambda import LambdaClient

    from deployment.stack import Deployment


def release(build: Path, parameters: Mapping[str, str]) -> str:
    """Return the hash of all files in `build`, which `make build` fills, and of all parameters but the release.

    build: has the code of the gateway, the layer, the template and the nested ones.
    """
    files = {
        path.relative_to(build).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in build.rglob("*")
        if path.is_file()
    }
    chosen = {name: value for name, value in parameters.items() if name != "Release"}
    return sha256(json.dumps([files, chosen], sort_keys=True).encode()).hexdigest()


def keep_two(deployment: Deployment) -> None:
    """Delete all versions of gateway and processor but the newest two, so that a rollback by hand needs no build."""
    client = boto3.client("lambda")
    for name in deployment.names("GatewayFunction", "ProcessorFunction"):
        for version in too_old(client, name):
            client.delete_function(FunctionName=name, Qualifier=version)


def too_old(client: LambdaClient, function: str) -> list[str]:
    """Return the versions of a function that can go. What an alias names stays, however old it is."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    versions = (each["Version"] for page in pages for each in page["Versions"])
    numbers = sorted((each for each in versions if each != "$LATEST"), key=int)
    named: set[str] = set()
    for alias in client.list_aliases(FunctionName=function)["Aliases"]:
        named |= {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
    return [number for number in numbers[:-2] if number not in named]
