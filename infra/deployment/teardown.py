"""`make teardown`: empty the buckets of a deployment, end its API keys, and delete all that belongs to it.

Usage: PYTHONPATH=infra python -m deployment.teardown ENV [STACK]
STACK: the name of its stack, as a confirmation, which production needs.
"""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import ClientError

from deployment.deploy import PRODUCTION, chosen_region
from deployment.keys import Keys
from deployment.neighbours import LOG_ROLE_STACK, TOOLS, Neighbours, delete_failed, run
from deployment.publish_page import delete
from deployment.stack import Deployment, resources
from deployment.uploads import POLICY, ROLE, let_uploads_work


def main(environment: str, confirmed: str = "") -> None:
    """Remove a deployment. Raises SystemExit with a sentence for a person if that is not to be done."""
    deployment = Deployment.read(environment, [])
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
    if names.get(ROLE) and names.get(POLICY):
        let_uploads_work(names[ROLE], names[POLICY])
    for _, kind, name in found:
        if kind == "AWS::S3::Bucket" and name:
            empty(name)
        if kind == "AWS::ApiGateway::UsagePlan" and name:
            keys = Keys(boto3.client("apigateway"), name, "")
            # By hand, several keys of one name can be made. They end together.
            for each in {key.name for key in keys}:
                keys.end(each)


def empty(bucket: str) -> None:
    """Delete every object of a bucket. One that is gone is empty, too."""
    try:
        delete(boto3.client("s3"), bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
