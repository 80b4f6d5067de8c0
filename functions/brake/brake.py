"""The brake on direct uploads: an alarm calls it when far more files are sent to S3 than anyone should send.

A form is signed with the rights of the gateway's role. This takes the right to upload away from the role, so that S3
refuses every form, old and new. A person gives it back (docs/aws.md). botocore is the one that Lambda's runtime brings.
"""  # noqa: INP001 - a function of one file, deployed as it is

from __future__ import annotations

import json
import os
from typing import Any

from botocore.session import Session

POLICY_NAME = "uploads-stopped"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}],
}


def lambda_handler(_event: object, _context: object) -> None:
    """Deny uploads to the role in GATEWAY_ROLE. A second call changes nothing."""
    iam: Any = Session().create_client("iam")
    iam.put_role_policy(RoleName=os.environ["GATEWAY_ROLE"], PolicyName=POLICY_NAME, PolicyDocument=json.dumps(POLICY))
    print(json.dumps({"level": "WARNING", "message": "direct uploads stopped"}))  # noqa: T201 - the log
