"""`make key`: make, list and end the API keys of a deployment with Access=keys.

Usage: PYTHONPATH=infra python -m deployment.keys ENV [NAME [end]]: without a name, list the keys.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import boto3

from deployment.stack import Deployment, outputs, tell

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def of_plan(client: APIGatewayClient, plan: str) -> dict[str, str]:
    """Return the names of the keys of a usage plan by their ids, which are in the logs."""
    pages = client.get_paginator("get_usage_plan_keys").paginate(usagePlanId=plan)
    return {key["id"]: key["name"] for page in pages for key in page["items"]}


def make(client: APIGatewayClient, plan: str, name: str) -> str:
    """Make a key and return it."""
    made = client.create_api_key(name=name, enabled=True)
    try:
        client.create_usage_plan_key(usagePlanId=plan, keyId=made["id"], keyType="API_KEY")
    except BaseException:
        # A key in no plan opens nothing, and would not be listed.
        client.delete_api_key(apiKey=made["id"])
        raise
    return made["value"]


def end(client: APIGatewayClient, plan: str, key: str) -> None:
    """End the key with this id."""
    client.delete_usage_plan_key(usagePlanId=plan, keyId=key)
    client.delete_api_key(apiKey=key)


def main(environment: str, name: str = "", action: str = "") -> None:
    """Make, list or end. By hand, several keys of one name can be made, which end together."""
    deployment = Deployment.read(environment)
    if not deployment.description:
        raise deployment.absent
    stack = deployment.stack
    plan = outputs(stack).get("UsagePlan")
    if not plan:
        raise SystemExit(
            f'{stack} has no API keys. To want them: make deploy ENV={environment} PARAMETERS="Access=keys"'
        )
    client, prefix = boto3.client("apigateway"), f"{stack}-"
    keys = of_plan(client, plan)
    own = [key for key, full in keys.items() if full == prefix + name]
    if action:
        if not own:
            raise SystemExit(f"There is no key {name}.")
        for key in own:
            end(client, plan, key)
        tell(f"The key {name} is ended. It may work for another minute.")
    elif own:
        raise SystemExit(f"There is a key {name} already. To end it: make key ENV={environment} NAME={name} END=1")
    elif name:
        if not NAME.fullmatch(name):
            raise SystemExit("The name of a key has 1 to 64 letters, digits, dots, hyphens and underscores.")
        # Alone on standard output, for KEY=$(make key NAME=...).
        print(make(client, plan, prefix + name))  # noqa: T201 - for a person or a program
        tell(f"This is the key of {name}, for the header X-API-Key. It may take a minute to work.")
    else:
        for key, full in keys.items():
            print(f"{key}  {full.removeprefix(prefix)}")  # noqa: T201 - likewise


if __name__ == "__main__":
    main(*sys.argv[1:])
