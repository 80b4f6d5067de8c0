"""`sam local` and a local AWS, started for the tests. Both run what `make build` has built."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.local_aws import KEYS, wait_for
from tests.support import executable, free_port, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
TOOLS = REPOSITORY / ".venv-sam" / "bin"
VALKEY = "valkey/valkey:8.1"
MINISTACK = "ministackorg/ministack:1.5.33"
# What the emulators accept for a key and secret: anything.
AWS = {**os.environ, **KEYS, "SAM_CLI_TELEMETRY": "0"}
REGION = KEYS["AWS_DEFAULT_REGION"]
ARTIFACTS = "artifacts"
# As in samconfig.toml for `make deploy ENV=prod`.
STACK = "image-intensity"
# MiniStack itself knows no limit. An image that takes more ends the function, as on AWS.
FUNCTION_MEMORY = "700m"
# What runs need, for the tests of runs. MiniStack passes over the number of functions at a time; the tests bound it.
RUNS = ("Runs=on", "SourceBuckets=photos,strangers", "RunsConcurrency=2")
# For a second stack: the least that measures. MiniStack can change the parameters of one without nested ones.
SMALL = ("Site=off", "Monitoring=off", "JobConcurrency=0")


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it prints; it must succeed."""
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment or AWS, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@cache
def build() -> None:
    """Have what is deployed built, once; skips where the SAM CLI is not installed (`make e2e` does that)."""
    if not (TOOLS / "sam").exists():
        missing("the SAM CLI (make e2e installs it)")
    run(executable("make"), "build", environment=dict(os.environ))


@contextmanager
def container(*arguments: str) -> Iterator[str]:
    """Run a container in the background and yield its id."""
    name = run("docker", "run", "--detach", *arguments)
    try:
        yield name
    finally:
        run("docker", "rm", "--force", "--volumes", name)


@contextmanager
def sam_local() -> Iterator[str]:
    """Yield the address of what `make sam` starts."""
    build()
    port = str(free_port())
    command, environment = [sys.executable, "infra/local/sam.py"], {**os.environ, "PORT": port}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            yield url
        finally:
            process.terminate()


@contextmanager
def deployed(folder: Path, *parameters: str) -> Iterator[str]:
    """Yield the address of the whole template, deployed to MiniStack with these parameters, and with a real Valkey.

    Off is what MiniStack does not have: the network with ElastiCache Serverless, and CodeDeploy with SnapStart.
    """
    build()
    port = free_port()
    name = f"image-intensity-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        run("docker", "network", "create", name)
        stack.callback(remove_network, name)
        stack.enter_context(container("--network", name, "--network-alias", "valkey", VALKEY))
        stack.enter_context(
            container(
                *("--network", name, "--network-alias", "aws", "--publish", f"127.0.0.1:{port}:4566"),
                *("--volume", "/var/run/docker.sock:/var/run/docker.sock"),
                *("--env", "LAMBDA_EXECUTOR=docker", "--env", f"LAMBDA_DOCKER_NETWORK={name}"),
                *("--env", f"LAMBDA_DOCKER_FLAGS=--memory {FUNCTION_MEMORY}"),
                *("--env", "AWS_ENDPOINT_URL=http://aws:4566", "--env", "MINISTACK_REGION=eu-central-1"),
                MINISTACK,
            )
        )
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(f"{endpoint}/_ministack/health")
        client(endpoint, "s3").create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
        deploy(endpoint, folder, *parameters)
        publish = (sys.executable, "-m", "deployment.publish_page", STACK)
        run(*publish, environment={**AWS, "AWS_ENDPOINT_URL": endpoint, "PYTHONPATH": "infra"})
        url = address_of(endpoint)
        wait_until_ready(url)
        yield url


def client(endpoint: str, service: str, **arguments: str) -> Any:  # noqa: ANN401 - of any service
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    return boto3.client(service, endpoint_url=endpoint, **{**keys, **arguments})  # type: ignore[call-overload]


def deploy(endpoint: str, folder: Path, *parameters: str, stack: str = STACK) -> None:
    """Make a stack with these parameters, or change it.

    folder: of the local AWS, where what was uploaded to it is noted for its next deployment.
    """
    packaged = folder / "packaged.yaml"
    if not packaged.exists():
        run(
            *(str(TOOLS / "aws"), "cloudformation", "package", "--template-file", ".aws-sam/build/template.yaml"),
            *("--s3-bucket", ARTIFACTS, "--output-template-file", str(packaged)),
            environment={**AWS, "AWS_ENDPOINT_URL": endpoint},
        )
        client(endpoint, "s3").upload_file(str(packaged), ARTIFACTS, packaged.name)
    cloudformation = client(endpoint, "cloudformation")
    exists = stack in [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
    # The gateway only signs; those who upload are on this side of the container.
    chosen = ("Cache=valkey", "Site=on", "Access=open", "JobConcurrency=1", f"UploadEndpointUrl={endpoint}")
    values = dict(each.split("=", 1) for each in (*chosen, *parameters))
    (cloudformation.update_stack if exists else cloudformation.create_stack)(
        StackName=stack,
        # As a body of the request, a template may have at most 51,200 bytes.
        TemplateURL=f"{endpoint}/{ARTIFACTS}/{packaged.name}",
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stacks = cloudformation.describe_stacks()["Stacks"]
    while any("IN_PROGRESS" in each["StackStatus"] for each in stacks):
        time.sleep(0.2)
        stacks = cloudformation.describe_stacks()["Stacks"]
    events = (
        event
        for each in stacks
        if each["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        for event in cloudformation.describe_stack_events(StackName=each["StackId"])["StackEvents"]
    )
    failures = [(each["LogicalResourceId"], each.get("ResourceStatusReason")) for each in events]
    assert failures == []


def address_of(endpoint: str, stack: str = STACK) -> str:
    """Return the address of the REST API of a stack, which has the stack's name."""
    apis = client(endpoint, "apigateway").get_rest_apis(limit=500)["items"]
    [api] = [each["id"] for each in apis if each["name"] == stack]
    return f"{endpoint}/restapis/{api}/v1/_user_request_"


def remove_network(name: str) -> None:
    """Remove the network, and before it the functions that MiniStack has started in it.

    One that it was just starting when it ended comes into the network a moment later.
    """
    end = time.monotonic() + 30
    while True:
        functions = run("docker", "ps", "--all", "--quiet", "--filter", f"network={name}").split()
        if functions:
            run("docker", "rm", "--force", *functions)
        removed = subprocess.run(["docker", "network", "rm", name], capture_output=True, text=True, check=False)
        if removed.returncode == 0:
            return
        assert time.monotonic() < end, removed.stderr
        time.sleep(1)


def wait_until_ready(url: str) -> None:
    """Wait until the service at `url` measures."""
    wait_for(f"{url}/health/ready")
