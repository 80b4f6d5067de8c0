"""Jobs on AWS: their records are in a table of DynamoDB, and Lambda's own queue brings them to their function."""

from __future__ import annotations

import asyncio
import time
from json import dumps, loads
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from gateway.measuring.jobs import Jobs
from gateway.measuring.processor_client import CONNECT_TIMEOUT_SECONDS, failure

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient

    from contract.invocation import Invocation
    from contract.jobs import Job
    from gateway.settings import Settings

READ_TIMEOUT_SECONDS = 5
IS_THERE = "ConditionalCheckFailedException"


class DynamoStore:
    """Values in a table with the key `name` and the time to live `expires`. botocore waits on a thread."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self.client, self.table = client, table

    async def read(self, name: str) -> bytes:
        """Return the value; nothing if there is none, or none any more. Raises botocore's errors."""
        answer = await asyncio.to_thread(
            self.client.get_item, TableName=self.table, Key={"name": {"S": name}}, ConsistentRead=True
        )
        item = answer.get("Item")
        # DynamoDB deletes what has expired, but may take days for it.
        return item["content"]["S"].encode() if item and int(item["expires"]["N"]) > time.time() else b""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        """Keep a value for some seconds, and return whether it is kept. Raises botocore's errors."""
        now = int(time.time())
        item = {"name": {"S": name}, "content": {"S": content.decode()}, "expires": {"N": str(now + seconds)}}
        absent: Any = {
            "ConditionExpression": "attribute_not_exists(#name) OR expires <= :now",
            "ExpressionAttributeNames": {"#name": "name"},
            "ExpressionAttributeValues": {":now": {"N": str(now)}},
        }
        condition = {} if replace else absent
        try:
            await asyncio.to_thread(self.client.put_item, TableName=self.table, Item=item, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] != IS_THERE:
                raise
            return False
        return True


class LambdaQueue:
    """The queue that Lambda has for each function: it keeps an event, and tries it again when a worker dies."""

    def __init__(self, client: LambdaClient, function_name: str, logger: Logger) -> None:
        self.client, self.function_name, self.logger = client, function_name, logger

    async def send(self, name: str, job: Job, invocation: Invocation) -> None:
        """Put a job into the queue. Raises ProblemError: processor_failed."""
        event = {**invocation.to_event(), "job": {"name": name, "record": loads(job.to_json())}}
        try:
            await asyncio.to_thread(
                self.client.invoke, FunctionName=self.function_name, InvocationType="Event", Payload=dumps(event)
            )
        except (BotoCoreError, ClientError) as error:
            raise failure(str(error), self.logger) from error


def make_jobs(settings: Settings, lambda_client: LambdaClient, logger: Logger) -> Jobs | None:
    """Return the jobs that the settings ask for: none without a function, a table and a bucket for uploads."""
    if not (settings.job_function_name and settings.job_table and settings.upload_bucket):
        return None
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS, read_timeout=READ_TIMEOUT_SECONDS, retries={"total_max_attempts": 2}
    )
    table = cast("DynamoDBClient", Session().create_client("dynamodb", config=config))
    return Jobs(
        store=DynamoStore(table, settings.job_table),
        queue=LambdaQueue(lambda_client, settings.job_function_name, logger),
        secret_key=settings.secret_key.get_secret_value(),
        logger=logger,
    )
