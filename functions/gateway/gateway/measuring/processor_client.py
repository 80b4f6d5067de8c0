"""How the gateway calls the processor."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import fields, is_dataclass
from json import loads
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from botocore.session import Session
from pybase64 import b64encode
from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.problems import ProblemCode, ProblemError
from image_intensity import Measurement

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from types_boto3_lambda import LambdaClient
    from types_boto3_lambda.type_defs import InvocationResponseTypeDef

    from contract.invocation import Invocation
    from image_intensity import Options


class MeasurementMessage(BaseModel):
    """The processor's answer with a measurement. A field that is not known here is ignored."""

    measurement: Measurement


class ImageProblem(BaseModel):
    code: ProblemCode
    detail: str


class ProblemMessage(BaseModel):
    """The processor's answer without a measurement: it says why there is none."""

    problem: ImageProblem


MESSAGE: TypeAdapter[MeasurementMessage | ProblemMessage] = TypeAdapter(MeasurementMessage | ProblemMessage)


class Answer(NamedTuple):
    """A measurement by the processor.

    complete: False if an older processor did not send all fields, so that some have their defaults. This measurement
    is right, but it must not be remembered as one of this version.
    """

    measurement: Measurement
    complete: bool = True


# A synchronous Lambda invocation, request or response, is at most 6 MB of JSON.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_PAYLOAD_BYTES = 6_291_456
# API Gateway ends a request after 29 s. These two together leave time to send our own answer.
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 25
# A connection that was closed before is found out within this time; with this, all still ends before 29 s.
DEAD_CONNECTION_SECONDS = 1

# So many invocations run at a time. Further ones wait.
INVOCATIONS = 40

# Lambda's errors when it cannot start a further invocation, or cannot start it yet.
BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ENILimitReachedException", "ResourceNotReadyException"}


class TimeUsedUpError(ProblemError):
    """The processor has used up the time that an image may take. It would again, so this is remembered of the image."""

    def __init__(self) -> None:
        super().__init__(ProblemCode.PROCESSOR_TIMEOUT)


class Processor(Protocol):
    """Measures images: on Lambda, or on this machine."""

    async def measure(self, invocation: Invocation) -> Answer:
        """Return the measurement of an image under the options of the invocation.

        Raises ProblemError: what is wrong with the image or its upload, or processor_failed, processor_busy,
        processor_timeout. That is a TimeUsedUpError if the image is the reason, and not a pause or a slow network.
        """


class LambdaProcessor:
    """The processor Lambda, invoked synchronously."""

    def __init__(self, client: LambdaClient, function_name: str, logger: Logger) -> None:
        self.client = client
        self.function_name = function_name
        self.logger = logger
        # botocore waits on a thread. These threads are for invocations only: nothing else waits for a slow processor.
        self.threads = ThreadPoolExecutor(INVOCATIONS, thread_name_prefix="processor")

    async def measure(self, invocation: Invocation) -> Answer:
        """Invoke the function once, without a retry: only the caller knows whether it still wants the answer."""
        # The context has the request's id, for the log.
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self.threads, run, self.measure_now, invocation)

    def measure_now(self, invocation: Invocation) -> Answer:
        payload = invocation.to_json(b64encode)
        if len(payload) > LAMBDA_PAYLOAD_BYTES:
            detail = f"A file that makes {len(payload):,} bytes of JSON does not fit into one Lambda invocation."
            raise ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
        return read_answer(self.invoke(payload), invocation.options, self.logger)

    def invoke(self, payload: bytes) -> bytes:
        """Return the function's answer. Raises ProblemError: processor_busy, processor_timeout, processor_failed."""
        try:
            response = self.send(payload)
            answer = response["Payload"].read()
        except (ReadTimeoutError, ConnectTimeoutError) as error:
            raise ProblemError(ProblemCode.PROCESSOR_TIMEOUT) from error
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in BUSY:
                raise ProblemError(ProblemCode.PROCESSOR_BUSY) from error
            raise failure(str(error), self.logger) from error
        if response.get("FunctionError"):
            report = answer.decode("utf-8", "replace")
            if "Task timed out" in report or "Sandbox.Timedout" in report:
                raise TimeUsedUpError
            raise failure(report, self.logger)
        return answer

    def send(self, payload: bytes) -> InvocationResponseTypeDef:
        """Invoke the function, and once more over a new connection if a connection was closed at once.

        While an environment is frozen, the other side closes its connections, which it sees only when it uses one.
        Measuring is pure, so a second invocation does no harm. One that took longer was under way: the caller has no
        time for another.
        """
        begun = time.perf_counter()
        try:
            return self.client.invoke(FunctionName=self.function_name, Payload=payload)
        except ConnectionClosedError:
            if time.perf_counter() - begun > DEAD_CONNECTION_SECONDS:
                raise
            return self.client.invoke(FunctionName=self.function_name, Payload=payload)


def read_answer(answer: bytes, options: Options, logger: Logger) -> Answer:
    """Return the measurement in an answer. Raises ProblemError: the one in the answer, or processor_failed.

    An older processor ignores an option that it does not know. Then the answer has other `options` than the
    invocation, and its number is not the one that was asked for.
    """
    try:
        message = MESSAGE.validate_json(answer, strict=True)
    except ValidationError as error:
        raise failure(f"not an answer of the contract: {answer[:500]!r}", logger) from error
    if isinstance(message, ProblemMessage):
        raise ProblemError(message.problem.code, message.problem.detail)
    measurement = message.measurement
    if measurement.options != options:
        raise failure(f"asked for {options}, measured with {measurement.options}", logger)
    return Answer(measurement, has_every_field(loads(answer)["measurement"], measurement))


def has_every_field(sent: Any, read: object) -> bool:  # noqa: ANN401 - any JSON
    """Return whether the JSON `sent`, from which the dataclass `read` was made, has every field of it.

    An older processor, or an older record in the cache, does not have a field that is new here.
    """
    return not is_dataclass(read) or all(
        field.name in sent and has_every_field(sent[field.name], getattr(read, field.name)) for field in fields(read)
    )


def failure(reason: str, logger: Logger) -> ProblemError:
    logger.error("processor failed", extra={"error": reason})
    return ProblemError(ProblemCode.PROCESSOR_FAILED)


def make_lambda_client(
    endpoint_url: str | None = None, read_timeout_seconds: float = READ_TIMEOUT_SECONDS
) -> LambdaClient:
    """Return a client with our timeouts, for AWS, or for the address in `endpoint_url` or AWS_ENDPOINT_URL_LAMBDA."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"total_max_attempts": 1},
    )
    # boto3 would return the same client. Importing it takes twice as long, for S3 transfers that are not used here.
    return cast("LambdaClient", Session().create_client("lambda", config=config, endpoint_url=endpoint_url))
