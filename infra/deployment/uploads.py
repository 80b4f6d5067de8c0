"""`make uploads`: let direct uploads work again at once, after the brake has stopped them.

Usage: PYTHONPATH=infra python -m deployment.uploads ENV
"""

from __future__ import annotations

import sys
from contextlib import suppress

import boto3

from deployment.stack import Deployment

ROLE, POLICY = "GatewayFunctionRole", "UploadsStopped"


def main(environment: str) -> None:
    """Give the gateway its right to upload back."""
    deployment = Deployment.read(environment)
    let_uploads_work(deployment.name_of(ROLE), deployment.name_of(POLICY))


def let_uploads_work(role: str, policy: str) -> None:
    """Remove what the brake has added to a role, if it has."""
    iam = boto3.client("iam")
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.detach_role_policy(RoleName=role, PolicyArn=policy)


if __name__ == "__main__":
    main(*sys.argv[1:])
