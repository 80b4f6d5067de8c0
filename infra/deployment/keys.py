"""`make key`: make, list and end the API keys of a deployment with Access=keys.

Usage: PYTHONPATH=infra python -m deployment.keys ENV [NAME [end]]: without a name, list the keys.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple

import boto3

from deployment.stack import Deployment, outputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_apigateway import APIGatewayClient

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Key(NamedTuple):
    """An API key: its name, and its id, which is in the logs."""

    name: str
    id: str


class Keys:
    """The API keys of one usage plan."""

    def __init__(self, client: APIGatewayClient, plan: str, prefix: str) -> None:
        """Know the keys by the id of their usage plan. prefix: of their names, which tells deployments apart."""
        self.client = client
        self.plan = plan
        self.prefix = prefix

    def __iter__(self) -> Iterator[Key]:
        """Yield all keys."""
        for page in self.client.get_paginator("get_usage_plan_keys").paginate(usagePlanId=self.plan):
            for key in page["items"]:
                yield Key(key["name"].removeprefix(self.prefix), key["id"])

    def make(self, name: str) -> str:
        """Make a key and return it. Raises SystemExit if no key can have this name."""
        if not NAME.fullmatch(name):
            raise SystemExit("The name of a key has 1 to 64 letters, digits, dots, hyphens and underscores.")
        made = self.client.create_api_key(name=self.prefix + name, enabled=True)
        try:
            self.client.create_usage_plan_key(usagePlanId=self.plan, keyId=made["id"], keyType="API_KEY")
        except BaseException:
            # A key in no plan opens nothing, and would not be listed.
            self.client.delete_api_key(apiKey=made["id"])
            raise
        return made["value"]

    def end(self, name: str) -> None:
        """End a key. Raises SystemExit if there is none with this name."""
        ids = [key.id for key in self if key.name == name]
        if not ids:
            raise SystemExit(f"There is no key {name}.")
        for each in ids:
            self.client.delete_usage_plan_key(usagePlanId=self.plan, keyId=each)
            self.client.delete_api_key(apiKey=each)


def main(environment: str, name: str = "", action: str = "") -> None:
    """Make, list or end."""
    deployment = Deployment.read(environment, [])
    if not deployment.description:
        raise deployment.absent
    stack = deployment.stack
    plan = outputs(stack).get("UsagePlan")
    if not plan:
        raise SystemExit(
            f'{stack} has no API keys. To want them: make deploy ENV={environment} PARAMETERS="Access=keys"'
        )
    keys = Keys(boto3.client("apigateway"), plan, f"{stack}-")
    if action:
        keys.end(name)
        tell(f"The key {name} is ended. It may work for another minute.")
    elif name:
        if any(key.name == name for key in keys):
            raise SystemExit(f"There is a key {name} already. To end it: make key ENV={environment} NAME={name} END=1")
        # Alone on standard output, for KEY=$(make key NAME=...).
        print(keys.make(name))  # noqa: T201 - for a person or a program
        tell(f"This is the key of {name}, for the header X-API-Key. It may take a minute to work.")
    else:
        for key in keys:
            print(f"{key.id}  {key.name}")  # noqa: T201 - likewise


def tell(sentence: str) -> None:
    """Tell a person what has happened."""
    print(sentence, file=sys.stderr)  # noqa: T201 - as it says


if __name__ == "__main__":
    main(*sys.argv[1:])
