"""The brake on direct uploads: an alarm calls it when far more files are sent to S3 than anyone should send.

A form is signed with the rights of the gateway's role. A policy takes the right to upload away from the role, so that
S3 refuses every form, old and new. The alarm calls again when there was no such flood for hours, and the policy goes.
botocore is the one that Lambda's runtime brings.
"""  # noqa: INP001 - a function of one file, deployed as it is

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping


def lambda_handler(event: Mapping[str, Any], _context: object) -> None:
    """Attach the policy in POLICY to the role in GATEWAY_ROLE, or detach it. A second call changes nothing."""
    iam: Any = Session().create_client("iam")
    names = {"RoleName": os.environ["GATEWAY_ROLE"], "PolicyArn": os.environ["POLICY"]}
    stop = event["alarmData"]["state"]["value"] == "ALARM"
    try:
        (iam.attach_role_policy if stop else iam.detach_role_policy)(**names)
    except iam.exceptions.NoSuchEntityException:
        # `make uploads` was first.
        if stop:
            raise
    message = "direct uploads stopped" if stop else "direct uploads work again"
    print(json.dumps({"level": "WARNING", "message": message}))  # noqa: T201 - the log
