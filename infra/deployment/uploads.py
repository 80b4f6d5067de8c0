"""`make uploads`: let direct uploads work again, after the brake has stopped them.

Usage: PYTHONPATH=infra python -m deployment.uploads ENV
"""

from __future__ import annotations

import sys

import boto3

from deployment.stack import Deployment

# functions/brake has the same (a test compares them).
POLICY_NAME = "uploads-stopped"


def main(environment: str) -> None:
    """Give the gateway its right to upload back."""
    let_uploads_work(Deployment.read(environment, []).name_of("GatewayRole"))


def let_uploads_work(role: str) -> None:
    """Remove what the brake has added to a role, if it has."""
    iam = boto3.client("iam")
    if POLICY_NAME in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=POLICY_NAME)


if __name__ == "__main__":
    main(*sys.argv[1:])
