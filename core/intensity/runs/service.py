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

from intensity.runs.layout import SUMMARY, Layout, RunError, read_head
from intensity.sources.errors import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_s3 import S3Client
    from types_boto3_stepfunctions import SFNClient

    from intensity.runs.layout import Head

# The outputs of the stack.
STATE_MACHINE, BUCKET = "RunsStateMachine", "RunsBucket"
# A parameter of it.
CONCURRENCY = "RunsConcurrency"
RUNNING = "RUNNING"
MISSING = {"NoSuchKey", "404"}
# So S3 answers where the first bytes of an empty file are asked for.
EMPTY = {"InvalidRange", "416"}
REQUESTS_AT_ONCE = 16
# More than a head has.
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a run. number: 1 for the first, more for those that resume it. error: why it failed."""

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
    """A deployment with runs. Every method raises RunError, with a sentence for the person at the terminal.

    reserved: functions for runs; -1 for no bound.
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
            known = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
            chosen = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())}
            return cls(
                cast("S3Client", session.create_client("s3", config=config)),
                cast("SFNClient", session.create_client("stepfunctions", config=config)),
                known[STATE_MACHINE],
                known[BUCKET],
                int(chosen[CONCURRENCY]),
            )
        except KeyError as error:
            raise RunError(f"the stack {stack} has no runs; deploy it with the parameter Runs=on") from error
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot find the stack {stack} (--stack names another): {told(error)}") from error

    def start(self, name: str, request: Mapping[str, Any]) -> None:
        """Start an execution of this name."""
        try:
            self.states.start_execution(stateMachineArn=self.state_machine, name=name, input=json.dumps(request))
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot start {name}: {told(error)}") from error

    def stop(self, name: str) -> None:
        """Stop an execution; Step Functions stops the children, too."""
        try:
            self.states.stop_execution(executionArn=self._arn(name), cause="intensity runs cancel")
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot stop {name}: {told(error)}") from error

    def executions(self, run: str) -> list[Execution]:
        """Return the executions of a run, the first one first. Step Functions forgets them after 90 days."""
        found: list[Execution] = []
        while execution := self._execution(run, len(found) + 1):
            found.append(execution)
        return found

    def _execution(self, run: str, number: int) -> Execution | None:
        """Return an execution; None if there is none of this number."""
        try:
            told_of = self.states.describe_execution(executionArn=self._arn(execution_name(run, number)))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return None
            raise RunError(f"cannot ask for {run}: {told(error)}") from error
        except BotoCoreError as error:
            raise RunError(f"cannot ask for {run}: {told(error)}") from error
        failure = " ".join(filter(None, (told_of.get("error"), sentence(told_of.get("cause", "")))))
        return Execution(number, told_of["status"], told_of["startDate"], told_of.get("stopDate"), failure)

    def history(self) -> Iterator[tuple[str, str, datetime]]:
        """Yield name, status and start of each execution that Step Functions knows, the newest first."""
        try:
            for page in self.states.get_paginator("list_executions").paginate(stateMachineArn=self.state_machine):
                for each in page["executions"]:
                    yield each["name"], each["status"], each["startDate"]
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot list the runs: {told(error)}") from error

    def description(self, run: str) -> dict[str, Any] | None:
        """Return run.json; None until the run is planned."""
        return self._json(Layout(run).description)

    def summary(self, run: str) -> dict[str, Any] | None:
        """Return the sums; None until the run has results."""
        return self._json(Layout(run).result(SUMMARY))

    def _json(self, key: str) -> dict[str, Any] | None:
        """Return what is in a file of the bucket; None if it is not there."""
        try:
            values: dict[str, Any] = json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return None
            raise RunError(f"cannot read the results: {told(error)}") from error
        except BotoCoreError as error:
            raise RunError(f"cannot read the results: {told(error)}") from error
        return values

    def heads(self, run: str, method: str, known: set[str]) -> Iterator[tuple[str, Head]]:
        """Yield the keys and heads of the parts that are not in `known`, and add these to it.

        What has no head is damaged. `resume` replaces it, so it is looked at again.
        """
        try:
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=Layout(run).parts(method)
            )
            keys = [each["Key"] for page in pages for each in page.get("Contents", ()) if each["Key"] not in known]
            with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
                for key, head in zip(keys, pool.map(self._head, keys), strict=True):
                    if head:
                        known.add(key)
                        yield key, head
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot read how far the run is: {told(error)}") from error

    def _head(self, key: str) -> Head | None:
        """Return the head of a part; None if it has none."""
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=0-{HEAD_BYTES - 1}")
            return read_head(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in EMPTY:
                return None
            raise
        except (ValueError, KeyError, TypeError):
            return None

    def copy(self, key: str, file: Path) -> None:
        """Write an object of the bucket to a file."""
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
            with file.open("wb") as opened:
                for piece in body.iter_chunks(1 << 20):
                    opened.write(piece)
        except (ClientError, BotoCoreError) as error:
            raise RunError(f"cannot read {key}: {told(error)}") from error
        except OSError as error:
            raise RunError(f"cannot write {file}: {error.strerror}") from error

    def _arn(self, name: str) -> str:
        """Return the ARN of an execution."""
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
