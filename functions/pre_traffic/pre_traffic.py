"""CodeDeploy's hook before traffic: a new version of the gateway gets requests only if it says that it can measure.

The gateway answers its own exceptions with a status, so an invocation that succeeds says nothing. This asks the version
itself for `/health/ready`, as API Gateway would. botocore is the one that Lambda's runtime brings.
"""  # noqa: INP001 - a function of one file, deployed as it is

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first answer of a version may wait for a processor's cold start, and a processor may be busy.
TRIES = 3
PAUSE_SECONDS = 5
PATH = "/health/ready"
# What API Gateway's REST API sends for a GET, as far as the gateway reads it.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
EVENT: dict[str, Any] = {
    "resource": "/{proxy+}",
    "path": PATH,
    "httpMethod": "GET",
    "headers": {"Accept": "application/json"},
    "multiValueHeaders": {"Accept": ["application/json"]},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": {"proxy": PATH.removeprefix("/")},
    "stageVariables": None,
    "requestContext": {"path": PATH, "stage": "v1", "httpMethod": "GET", "identity": {"sourceIp": "127.0.0.1"}},
    "body": None,
    "isBase64Encoded": False,
}


def lambda_handler(event: Mapping[str, str], _context: object) -> None:
    """Tell CodeDeploy whether the version in GATEWAY_VERSION is ready. `Failed` rolls the deployment back."""
    session = Session()
    codedeploy: Any = session.create_client("codedeploy")
    refusal = why_not_ready(session.create_client("lambda"), os.environ["GATEWAY_VERSION"])
    print(json.dumps({"message": "pre-traffic", "refusal": refusal}))  # noqa: T201 - the log
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status="Failed" if refusal else "Succeeded",
    )


def why_not_ready(client: Any, version: str) -> str:  # noqa: ANN401 - Lambda's runtime brings no types
    """Return why the function `version` is not ready, after some tries; empty if it is."""
    refusal = ""
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE_SECONDS)
        refusal = ask(client, version)
        if not refusal:
            break
    return refusal


def ask(client: Any, version: str) -> str:  # noqa: ANN401 - likewise
    """Ask once. Whatever goes wrong is a refusal: without a word from here, CodeDeploy would wait for an hour."""
    try:
        response = client.invoke(FunctionName=version, Payload=json.dumps(EVENT))
        answer = json.loads(response["Payload"].read())
        ready = answer["statusCode"] == 200 and json.loads(answer["body"])["status"] == "ready"  # noqa: PLR2004 - OK
    except Exception as error:  # noqa: BLE001 - see above
        return repr(error)
    return "" if ready else f"{PATH} answers {answer['statusCode']}: {answer['body']}"
