"""`make teardown`: empty the buckets of a deployment, end its API keys, and delete all that belongs to it.

Usage: PYTHONPATH=infra python -m deployment.teardown ENV [STACK]
STACK: the name of its stack, as a confirmation, which production needs.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import boto3

from deployment import keys
from deployment.deploy import PRODUCTION
from deployment.neighbours import LOG_ROLE_STACK, TOOLS, Neighbours, chosen_region, delete_failed, run
from deployment.stack import Deployment, resources
from deployment.uploads import POLICY, ROLE, let_uploads_work


def main(environment: str, confirmed: str = "") -> None:
    """Remove a deployment. Raises SystemExit with a sentence for a person if that is not to be done."""
    deployment = Deployment.read(environment)
    stack, region = deployment.stack, chosen_region()
    if environment == PRODUCTION and confirmed != stack:
        raise SystemExit(f"This deletes {stack} and all it has. If you mean it: make teardown ENV=prod CONFIRM={stack}")
    if deployment.description:
        prepare(stack)
        run([str(TOOLS / "sam"), "delete", "--stack-name", stack, "--region", region, "--no-prompts"])
    # Last: a firewall cannot be deleted while a distribution has it, nor an image while a function has it.
    Neighbours(stack, region).delete_all()
    delete_failed(LOG_ROLE_STACK, region)


def prepare(stack: str) -> None:
    """Make a stack one that CloudFormation can delete: unprotected, its buckets empty, its roles as it knows them.

    End its API keys, too, of which CloudFormation knows nothing.
    """
    boto3.client("cloudformation").update_termination_protection(StackName=stack, EnableTerminationProtection=False)
    found = list(resources(stack))
    names = {logical_id: name for logical_id, _, name in found}
    if {ROLE, POLICY} <= names.keys():
        let_uploads_work(names[ROLE], names[POLICY])
    client = boto3.client("apigateway")
    for _, kind, name in found:
        if kind == "AWS::S3::Bucket":
            empty(name)
        if kind == "AWS::ApiGateway::UsagePlan":
            for key in keys.of_plan(client, name):
                keys.end(client, name, key)


def empty(name: str) -> None:
    """Delete every object of a bucket. One that is gone is empty, too."""
    bucket = boto3.resource("s3").Bucket(name)
    with suppress(bucket.meta.client.exceptions.NoSuchBucket):
        bucket.objects.all().delete()


if __name__ == "__main__":
    main(*sys.argv[1:])
