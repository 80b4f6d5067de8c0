"""`sam local` and a local AWS, started for the tests. Both run what `make build` has built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from functools import cache
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support import executable, free_port, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
TOOLS = REPOSITORY / ".venv-sam" / "bin"
VALKEY = "valkey/valkey:8.1"
MINISTACK = "ministackorg/ministack:1.5.33"
# What the emulators accept for a key and secret: anything.
AWS = {
    **os.environ,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "SAM_CLI_TELEMETRY": "0",
}
# As in samconfig.toml for `make deploy ENV=prod`.
STACK = "image-intensity"
# MiniStack itself knows no limit. An image that takes more ends the function, as on AWS.
FUNCTION_MEMORY = "700m"
# What runs need, for the tests of runs. MiniStack passes over the number of functions at a time; the tests bound it.
RUNS = ("Runs=on", "SourceBuckets=photos,strangers", "RunsConcurrency=2")
# For a second stack: the least that measures. MiniStack can change the parameters of one without nested ones.
SMALL = ("Site=off", "Monitoring=off", "JobConcurrency=0")
# Before the first answer, images are built and containers are started.
START_SECONDS = 120


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
        valkey = stack.enter_context(container("--network", name, "--network-alias", "valkey", VALKEY))
        assert valkey
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
        environment = {**AWS, "AWS_ENDPOINT_URL": endpoint}
        run(str(TOOLS / "aws"), "s3", "mb", "s3://artifacts", environment=environment)
        deploy(environment, folder, *parameters)
        publish = (sys.executable, "-m", "deployment.publish_page", STACK)
        run(*publish, environment={**environment, "PYTHONPATH": "infra"})
        url = address_of(endpoint)
        wait_until_ready(url)
        yield url


def deploy(environment: dict[str, str], folder: Path, *parameters: str, stack: str = STACK) -> None:
    """Deploy with these parameters as CloudFormation does it for `sam deploy`: make the stack, or change it.

    folder: of the local AWS, where what was uploaded to it is noted for its next deployment.
    """
    aws = str(TOOLS / "aws")
    packaged = folder / "packaged.yaml"
    # It takes longer than all the rest.
    if not packaged.exists():
        run(
            *(aws, "cloudformation", "package", "--template-file", ".aws-sam/build/template.yaml"),
            *("--s3-bucket", "artifacts", "--output-template-file", str(packaged)),
            environment=environment,
        )
    planned = run(
        *(aws, "cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", stack),
        # As a body of the request, a template may have at most 51,200 bytes.
        *("--s3-bucket", "artifacts", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *(
            "--parameter-overrides",
            "Cache=valkey",
            "Site=on",
            "Access=open",
            "JobConcurrency=1",
            *parameters,
        ),
        # The gateway only signs; those who upload are on this side of the container.
        f"UploadEndpointUrl={environment['AWS_ENDPOINT_URL']}",
        # By itself, the AWS CLI would look for the end only every 30 s.
        "--no-execute-changeset",
        environment=environment,
    )
    (change_set,) = re.findall(r"arn:\S+", planned)
    run(aws, "cloudformation", "execute-change-set", "--change-set-name", change_set, environment=environment)
    while "IN_PROGRESS" in " ".join(statuses := stack_statuses(aws, environment)):
        time.sleep(1)
    assert statuses <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, failures(aws, environment)


def address_of(endpoint: str, stack: str = STACK) -> str:
    """Return the address of the REST API of a stack, which has the stack's name."""
    query = f"items[?name=='{stack}'].id"
    command = (str(TOOLS / "aws"), "apigateway", "get-rest-apis", "--query", query, "--output", "text")
    api = run(*command, environment={**AWS, "AWS_ENDPOINT_URL": endpoint})
    return f"{endpoint}/restapis/{api}/v1/_user_request_"


def stack_statuses(aws: str, environment: dict[str, str]) -> set[str]:
    """Return the statuses of all stacks, the nested ones too."""
    answer: dict[str, Any] = loads(
        run(aws, "cloudformation", "describe-stacks", "--output", "json", environment=environment)
    )
    return {stack["StackStatus"] for stack in answer["Stacks"]}


def failures(aws: str, environment: dict[str, str]) -> str:
    """Return what CloudFormation says of the resources that it could not make."""
    stacks = loads(run(aws, "cloudformation", "describe-stacks", "--output", "json", environment=environment))
    reasons = "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]"
    command = (aws, "cloudformation", "describe-stack-events", "--query", reasons, "--stack-name")
    return "\n".join(run(*command, stack["StackId"], environment=environment) for stack in stacks["Stacks"])


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


def wait_for(url: str) -> None:
    """Wait until `url` answers with success."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url, timeout=START_SECONDS).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.5)
        else:
            return


def wait_until_ready(url: str) -> None:
    """Wait until the service at `url` measures."""
    wait_for(f"{url}/health/ready")
