"""`make rotate`: new secrets. Tickets of the old one are not valid any more, and records are made anew.

Usage: PYTHONPATH=infra python -m deployment.rotate ENV [Name=Value ...], as for `make deploy`.
"""

from __future__ import annotations

import secrets
import sys

import boto3

from deployment.deploy import FIRST
from deployment.deploy import main as deploy
from deployment.stack import Deployment

# As long as those that the template generates.
SECRET_BYTES = 48


def main(environment: str, *given: str) -> None:
    """Make new versions of the secrets, and deploy with them and with the parameters `given`."""
    deployment = Deployment.read(environment, given)
    signing = new_version(deployment.name_of("SecretKey"))
    # CloudFront's is there only with a page.
    origin = [new_version(secret) for secret in deployment.names("OriginSecret")] or [FIRST]
    deploy(environment, *given, f"SecretVersions={','.join([signing, *origin])}")


def new_version(secret: str) -> str:
    """Give a secret a new value, and return the id of this version."""
    client = boto3.client("secretsmanager")
    return client.put_secret_value(SecretId=secret, SecretString=secrets.token_urlsafe(SECRET_BYTES))["VersionId"]


if __name__ == "__main__":
    main(*sys.argv[1:])
