"""`make rotate`: sign with a new secret. Tickets of the old one are not valid any more, and records are made anew.

Usage: PYTHONPATH=infra python -m deployment.rotate ENV [Name=Value ...], as for `make deploy`.
"""

from __future__ import annotations

import secrets
import sys

import boto3

from deployment.deploy import main as deploy
from deployment.stack import Deployment

# As long as the one that the template generates.
SECRET_BYTES = 48


def main(environment: str, *given: str) -> None:
    """Make a new version of the secret, and deploy with it and with the parameters `given`."""
    secret = Deployment.read(environment, given).name_of("SecretKey")
    deploy(environment, *given, f"SecretVersion={new_version(secret)}")


def new_version(secret: str) -> str:
    """Give a secret a new value, and return the id of this version."""
    client = boto3.client("secretsmanager")
    return client.put_secret_value(SecretId=secret, SecretString=secrets.token_urlsafe(SECRET_BYTES))["VersionId"]


if __name__ == "__main__":
    main(*sys.argv[1:])
