"""The stacks beside the one of a deployment: what must be there before it, and what AWS has in us-east-1 only."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from deployment.stack import REPOSITORY, describe, outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = REPOSITORY / ".venv-sam/bin"
BUILD = REPOSITORY / ".aws-sam/build"
LOG_ROLE_STACK = "api-gateway-logs"
# CloudFront wants its firewall there, wherever the service is; budgets and checks from outside are there only.
EAST = "us-east-1"


@dataclass(frozen=True)
class Neighbours:
    """The stacks beside `stack`. Those in us-east-1 have the region of the deployment in their names."""

    stack: str
    region: str

    @property
    def firewall(self) -> str:
        """The name of the stack with the firewall of CloudFront."""
        return f"{self.stack}-{self.region}-firewall"

    @property
    def watch(self) -> str:
        """The name of the stack with the check from outside and the budget."""
        return f"{self.stack}-{self.region}-watch"

    @property
    def images(self) -> str:
        """The name of the stack with the registry."""
        return f"{self.stack}-images"

    def make_registry(self) -> str:
        """Make or update the registry for the image of the functions, and return its address."""
        make_stack(REPOSITORY / "infra/images.yaml", self.images, self.region)
        return outputs(self.images, self.region)["Uri"]

    def make_firewall(self, parameters: Mapping[str, str]) -> str:
        """Make or update the firewall for the page, and return its ARN."""
        chosen = {name: parameters[name] for name in ("RequestsPerAddress", "PostsPerAddress")}
        # As SAM has built it: CloudFormation takes no YAML anchors.
        template = BUILD / "FirewallStack/template.yaml"
        make_stack(template, self.firewall, EAST, Scope="CLOUDFRONT", ServiceName=self.stack, **chosen)
        return outputs(self.firewall, EAST)["Arn"]

    def make_watch(self, parameters: Mapping[str, str], found: Mapping[str, str]) -> None:
        """Make or update what watches from outside. found: the outputs of the deployment."""
        address = found.get("PageUrl") or found["ApiUrl"]
        host, _, stage = address.removeprefix("https://").partition("/")
        make_stack(
            REPOSITORY / "infra/watch.yaml",
            self.watch,
            EAST,
            ServiceName=self.stack,
            AlarmEmail=parameters["AlarmEmail"],
            DailyBudget=parameters["DailyBudget"],
            Host=host,
            Path=f"/{stage}/health/ready" if stage else "/health/ready",
            Distribution=found.get("PageDistribution", ""),
        )

    def delete(self, name: str, region: str = EAST) -> None:
        """Delete one of the stacks, if it is there."""
        boto3.client("cloudformation", region_name=region).delete_stack(StackName=name)

    def delete_all(self) -> None:
        """Delete all of them."""
        self.delete(self.watch)
        self.delete(self.firewall)
        self.delete(self.images, self.region)


def make_stack(template: object, stack: str, region: str, **parameters: str) -> None:
    """Make or update a stack of its own from a plain template."""
    delete_failed(stack, region)
    command = [str(TOOLS / "aws"), "cloudformation", "deploy", "--template-file", str(template), "--stack-name", stack]
    command += ["--region", region, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    given = [f"{name}={value}" for name, value in parameters.items()]
    run([*command, *(["--parameter-overrides", *given] if given else [])])


def delete_failed(stack: str, region: str) -> bool:
    """Delete a stack that could not be made. It holds nothing but its events, and cannot be updated."""
    try:
        status = describe(stack, region)["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return False
        raise
    if status not in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
        return False
    client = boto3.client("cloudformation", region_name=region)
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 5})
    return True


def run(command: list[str]) -> None:
    """Run a program. Raises SystemExit with its status if it fails; it has said why."""
    done = subprocess.run(command, cwd=REPOSITORY, check=False)  # noqa: S603 - ours, without a shell
    if done.returncode:
        raise SystemExit(done.returncode)
