"""The runs of one deployment: its state machine and its bucket, asked with the credentials of the AWS CLI."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from intensity.runs.layout import DESCRIPTION, SUMMARY, Layout, RunError, read_head
from intensity.runs.stored import code, get, get_json
from intensity.sources.errors import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_s3 import S3Client
    from types_boto3_stepfunctions import SFNClient

    from intensity.runs.layout import Head

# The outputs of the stack, and a parameter of it.
STATE_MACHINE, BUCKET = "RunsStateMachine", "RunsBucket"
CONCURRENCY = "RunsConcurrency"
RUNNING = "RUNNING"
REQUESTS_AT_ONCE = 16
# Of summary.json, what the command reads.
SUMS = ("total", "measured", "reused", "problems", "not_taken", "usd", "files")
# More than a head has.
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Execution:
    """number: 1 for the first one of a run, more for those that resume it. error: why it failed."""

    number: int
    status: str
    started: datetime
    stopped: datetime | None
    error: str

    @property
    def seconds(self) -> float:
        """How long it has taken until now."""
        return ((self.stopped or datetime.now(self.started.tzinfo)) - self.started).total_seconds()


@dataclass(frozen=True, slots=True)
class Service:
    """A deployment with runs. reserved: functions for runs; -1 for no bound.

    What AWS refuses is raised as botocore has it.
    """

    s3: S3Client
    states: SFNClient
    state_machine: str
    bucket: str
    reserved: int

    @classmethod
    def connect(cls, stack: str, profile: str | None) -> Self:
        """Find the state machine and the bucket of a deployment. Raises RunError."""
        config = Config(retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=REQUESTS_AT_ONCE)
        try:
            session = Session(profile=profile)
            formation = cast("CloudFormationClient", session.create_client("cloudformation", config=config))
            [found] = formation.describe_stacks(StackName=stack)["Stacks"]
            s3 = cast("S3Client", session.create_client("s3", config=config))
            states = cast("SFNClient", session.create_client("stepfunctions", config=config))
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot find the stack {stack} (--stack names another): {told(error)}") from error
        known = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
        chosen = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())}
        try:
            return cls(s3, states, known[STATE_MACHINE], known[BUCKET], int(chosen[CONCURRENCY]))
        except KeyError as error:
            raise RunError(f"the stack {stack} has no runs; deploy it with the parameter Runs=on") from error

    def start(self, name: str, request: Mapping[str, Any]) -> None:
        self.states.start_execution(stateMachineArn=self.state_machine, name=name, input=json.dumps(request))

    def stop(self, name: str) -> None:
        """Stop an execution; Step Functions stops the children, too."""
        self.states.stop_execution(executionArn=self._arn(name), cause="intensity runs cancel")

    def executions(self, run: str) -> list[Execution]:
        """Return the executions of a run, the first one first. Step Functions forgets them after 90 days."""
        found: list[Execution] = []
        while execution := self._execution(run, len(found) + 1):
            found.append(execution)
        return found

    def _execution(self, run: str, number: int) -> Execution | None:
        try:
            answer = self.states.describe_execution(executionArn=self._arn(execution_name(run, number)))
        except ClientError as error:
            if code(error) == "ExecutionDoesNotExist":
                return None
            raise
        failure = " ".join(filter(None, (answer.get("error"), sentence(answer.get("cause", "")))))
        return Execution(number, answer["status"], answer["startDate"], answer.get("stopDate"), failure)

    def description(self, run: str) -> dict[str, Any] | None:
        """Return run.json; None until the run is planned."""
        return get_json(self.s3, self.bucket, Layout(run).result(DESCRIPTION), "listed", "method")

    def summary(self, run: str) -> dict[str, Any] | None:
        """Return the sums; None until the run has results."""
        return get_json(self.s3, self.bucket, Layout(run).result(SUMMARY), *SUMS)

    def heads(self, run: str, method: str, known: Mapping[str, Head]) -> dict[str, Head]:
        """Return the heads of the parts whose keys are not in `known`.

        What has no head is damaged. `resume` replaces it, so it is looked at again.
        """
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=Layout(run).parts(method))
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            keys = [each["Key"] for page in pages for each in page.get("Contents", ()) if each["Key"] not in known]
            return {key: head for key, head in zip(keys, pool.map(self._head, keys), strict=True) if head}

    def _head(self, key: str) -> Head | None:
        found = get(self.s3, self.bucket, key, first=HEAD_BYTES)
        try:
            return read_head(found.data) if found else None
        except (ValueError, TypeError):
            return None

    def _arn(self, name: str) -> str:
        return f"{self.state_machine.replace(':stateMachine:', ':execution:')}:{name}"


def execution_name(run: str, number: int) -> str:
    """Return the name of an execution: that of the run, and from the second on its number. A run's has no "_"."""
    return run if number == 1 else f"{run}_{number}"


def sentence(cause: str) -> str:
    """Return the message of a function's error; Step Functions has it as JSON with a traceback."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
