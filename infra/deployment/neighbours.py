"""The stacks beside the one of a deployment: what must be there before it, and what AWS has in us-east-1 only."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import boto3

from deployment.stack import REPOSITORY, describe, outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = REPOSITORY / ".venv-sam/bin"
BUILD = REPOSITORY / ".aws-sam/build"
LOG_ROLE_STACK = "api-gateway-logs"
# CloudFront wants its firewall there, wherever the service is; budgets and checks from outside are there only.
EAST = "us-east-1"


class Neighbours:
    """The stacks beside `stack`: with the registry, the firewall of CloudFront, and what watches from outside."""

    def __init__(self, stack: str, region: str) -> None:
        """Name them. Those in us-east-1 have the region of the deployment in their names."""
        self.stack = stack
        self.region = region
        self.images = f"{stack}-images"
        self.firewall = f"{stack}-{region}-firewall"
        self.watch = f"{stack}-{region}-watch"

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
        """Make or update the check from outside and the budget. found: the outputs of the deployment."""
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

    def delete_all(self) -> None:
        """Delete those that are there."""
        delete(self.watch, EAST)
        delete(self.firewall, EAST)
        delete(self.images, self.region)


def delete(stack: str, region: str) -> None:
    """Delete a stack, if it is there."""
    boto3.client("cloudformation", region_name=region).delete_stack(StackName=stack)


def make_stack(template: object, stack: str, region: str, **parameters: str) -> None:
    """Make or update a stack of its own from a plain template."""
    delete_failed(stack, region)
    command = [str(TOOLS / "aws"), "cloudformation", "deploy", "--template-file", str(template), "--stack-name", stack]
    command += ["--region", region, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    given = [f"{name}={value}" for name, value in parameters.items()]
    run([*command, *(["--parameter-overrides", *given] if given else [])])


def delete_failed(stack: str, region: str) -> None:
    """Delete a stack that could not be made. It holds nothing but its events, and cannot be updated."""
    found = describe(stack, region)
    if found and found["StackStatus"] in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
        delete(stack, region)
        client = boto3.client("cloudformation", region_name=region)
        client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 5})


def chosen_region() -> str:
    """Return the region of the environment or the profile. Raises SystemExit if there is none."""
    region = boto3.Session().region_name
    if not region:
        raise SystemExit("No region is chosen. Set AWS_REGION, or `region` in your AWS profile.")
    return region


def run(command: list[str]) -> None:
    """Run a program. Raises SystemExit with its status if it fails; it has said why."""
    done = subprocess.run(command, cwd=REPOSITORY, check=False)  # noqa: S603 - ours, without a shell
    if done.returncode:
        raise SystemExit(done.returncode)
