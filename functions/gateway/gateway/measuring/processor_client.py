"""The gateway's side of the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.session import Session
from pybase64 import b64encode
from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.invocation import Invocation, StoredImage
from contract.problems import ProblemCode, ProblemError
from image_intensity import Measurement, Options

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from types_boto3_lambda import LambdaClient

    from gateway.settings import Settings

DEFAULT = Options()


class Measured(BaseModel):
    """The answer that carries a measurement."""

    measurement: Measurement


class Refusal(BaseModel):
    """What is wrong with the image."""

    code: ProblemCode
    detail: str


class Refused(BaseModel):
    """The answer that says why there is no measurement."""

    problem: Refusal


ANSWER: TypeAdapter[Measured | Refused] = TypeAdapter(Measured | Refused)

# A synchronous Lambda invocation, request or response, is at most 6 MB of JSON.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_PAYLOAD_BYTES = 6_291_456
# API Gateway ends a request after 29 s; both together leave it time to carry our answer.
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 25

# What Lambda says when it has no room for a further invocation, or not yet.
BUSY = {"TooManyRequestsException", "EC2ThrottledException", "ENILimitReachedException", "ResourceNotReadyException"}
BUSY_DETAIL = "All image processors are busy. Please try again in a moment."
TIMEOUT_DETAIL = "Measuring this image took too long and was stopped."
FAILED_DETAIL = "The image processor failed. This is not the image's fault as far as we know; please try again."


class Processor(Protocol):
    """Measures images: on Lambda, or in this process."""

    def measure(self, image: bytes | StoredImage, options: Options = DEFAULT) -> Measurement:
        """Return the measurement of a file, given or in S3, under `options`.

        Raises ProblemError: what is wrong with the image or its upload, or processor_failed, processor_busy,
        processor_timeout.
        """


class LambdaProcessor:
    """The processor Lambda, invoked synchronously."""

    def __init__(self, client: LambdaClient, settings: Settings, logger: Logger) -> None:
        """Invoke the function that `settings` names by `client`."""
        self.client = client
        self.settings = settings
        self.logger = logger

    def measure(self, image: bytes | StoredImage, options: Options = DEFAULT) -> Measurement:
        """Invoke the function for one image, without a retry: the caller knows whether it still wants the answer."""
        payload = make_invocation(self.settings, image, options).to_json(b64encode)
        if len(payload) > LAMBDA_PAYLOAD_BYTES:
            detail = f"A file that makes {len(payload):,} bytes of JSON does not fit into one Lambda invocation."
            raise ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
        return self.read_answer(self.invoke(payload))

    def invoke(self, payload: bytes) -> bytes:
        """Return the function's answer. Raises ProblemError: processor_busy, processor_timeout, processor_failed."""
        try:
            response = self.client.invoke(FunctionName=self.settings.processor_function_name, Payload=payload)
            answer = response["Payload"].read()
        except (ReadTimeoutError, ConnectTimeoutError) as error:
            raise ProblemError(ProblemCode.PROCESSOR_TIMEOUT, TIMEOUT_DETAIL) from error
        except ClientError as error:
            if error.response["Error"]["Code"] in BUSY:
                raise ProblemError(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL) from error
            raise self.failure(str(error)) from error
        except BotoCoreError as error:
            raise self.failure(str(error)) from error
        if response.get("FunctionError"):
            report = answer.decode("utf-8", "replace")
            if "Task timed out" in report or "Sandbox.Timedout" in report:
                raise ProblemError(ProblemCode.PROCESSOR_TIMEOUT, TIMEOUT_DETAIL)
            raise self.failure(report)
        return answer

    def read_answer(self, answer: bytes) -> Measurement:
        """Return the measurement in an answer. Raises ProblemError: the one that it carries, or processor_failed."""
        try:
            content = ANSWER.validate_json(answer, strict=True)
        except ValidationError as error:
            raise self.failure(f"not an answer of the contract: {answer[:500]!r}") from error
        if isinstance(content, Refused):
            raise ProblemError(content.problem.code, content.problem.detail)
        return content.measurement

    def failure(self, reason: str) -> ProblemError:
        """Log what the user is not told, and return what is."""
        self.logger.error("processor failed", extra={"error": reason})
        return ProblemError(ProblemCode.PROCESSOR_FAILED, FAILED_DETAIL)


def make_invocation(settings: Settings, image: bytes | StoredImage, options: Options) -> Invocation:
    """Return the invocation for one image, within the limits of `settings`."""
    return Invocation(
        image=image,
        allowed_formats=settings.allowed_image_formats,
        max_pixels=settings.max_pixels(stored=isinstance(image, StoredImage)),
        options=options,
    )


def make_lambda_client(endpoint_url: str | None = None) -> LambdaClient:
    """Return a client with our timeouts, for AWS or what AWS_ENDPOINT_URL_LAMBDA or `endpoint_url` names instead."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    # What boto3 would return; importing boto3 takes as long again, for managed S3 transfers that are not used here.
    return cast("LambdaClient", Session().create_client("lambda", config=config, endpoint_url=endpoint_url))
