"""`make deploy`: look at the account, then let SAM deploy what is built, and put the page there.

Usage: PYTHONPATH=infra python -m deployment.deploy ENV [Name=Value ...]
ENV: a deployment in samconfig.toml. Name=Value: a parameter of template.yaml.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deployment.account import BOUNDS, check_concurrency, has_log_role, zones_for_the_cache
from deployment.publish_page import publish
from deployment.release import release
from deployment.stack import REPOSITORY, Deployment, outputs, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = REPOSITORY / ".venv-sam/bin"
BUILD = REPOSITORY / ".aws-sam/build"
# Those defaults of template.yaml that are looked at here (a test compares them).
DEFAULTS = {
    "Cache": "off",
    "Site": "on",
    "Firewall": "off",
    "RequestsPerAddress": "250",
    "PostsPerAddress": "80",
    "FilesPerAddress": "1000",
    "ApiLogs": "on",
    "ProcessorConcurrency": "10",
    "GatewayConcurrency": "10",
    "JobConcurrency": "0",
    "Runs": "off",
    "RunsConcurrency": "400",
    "AlarmEmail": "",
    "ZoneA": "",
    "ZoneB": "",
}
PRODUCTION = "prod"
LOG_ROLE_STACK = "api-gateway-logs"
# So CloudFormation names a stack whose first deployment nobody has confirmed.
NOT_CONFIRMED = "REVIEW_IN_PROGRESS"
# CloudFront wants its firewall there, wherever the service is.
FIREWALL_REGION = "us-east-1"
LIMITS_PER_ADDRESS = ("RequestsPerAddress", "PostsPerAddress", "FilesPerAddress")


def main(environment: str, *given: str) -> None:
    """Deploy. Raises SystemExit with a sentence for a person if that cannot work."""
    region = chosen_region()
    deployment = Deployment.read(environment, given)
    prepare(deployment, DEFAULTS | deployment.parameters, region)
    deployment.chosen["Release"] = release(BUILD, deployment.parameters)
    try:
        deploy(deployment, region)
    except SystemExit:
        take_back_the_firewall(deployment)
        raise
    if deployment.present.get("SiteFirewallArn") and not deployment.chosen["SiteFirewallArn"]:
        # It is not in the stack, so CloudFormation leaves it, and it costs by the month.
        delete_firewall(deployment.stack)
    if environment == PRODUCTION:
        cloudformation = boto3.client("cloudformation")
        cloudformation.update_termination_protection(StackName=deployment.stack, EnableTerminationProtection=True)
    print(publish(deployment.stack))  # noqa: T201 - the address is for a person


def chosen_region() -> str:
    """Return the region of the environment or the profile. Raises SystemExit if there is none."""
    region = boto3.Session().region_name
    if not region:
        raise SystemExit("No region is chosen. Set AWS_REGION, or `region` in your AWS profile.")
    return region


def prepare(deployment: Deployment, parameters: Mapping[str, str], region: str) -> None:
    """Ask and check what can be known before, make what is outside of the stack, and choose the rest."""
    if deployment.status == "ROLLBACK_COMPLETE":
        raise SystemExit(
            f"The first deployment of {deployment.stack} has failed. Nothing is left of it but its events in AWS "
            "CloudFormation, which say why. Before the next one: "
            f"make teardown ENV={deployment.environment} CONFIRM={deployment.stack}"
        )
    ask_for_email(deployment, parameters)
    bounds = (*BOUNDS, "RunsConcurrency") if parameters["Runs"] == "on" else BOUNDS
    wanted = {name: int(parameters[name]) for name in bounds}
    check_concurrency(boto3.client("lambda"), deployment.environment, wanted, functions(deployment))
    if parameters["Cache"] == "on" and not (parameters["ZoneA"] and parameters["ZoneB"]):
        zones = zones_for_the_cache(boto3.client("ec2"), deployment.environment, region)
        deployment.chosen["ZoneA"], deployment.chosen["ZoneB"] = zones
    if parameters["ApiLogs"] == "on" and not has_log_role(boto3.client("apigateway")):
        make_stack("infra/account.yaml", LOG_ROLE_STACK, region)
    if parameters["Firewall"] == "on" and parameters["Site"] == "on":
        make_firewall(deployment.stack, parameters)
        deployment.chosen["SiteFirewallArn"] = outputs(firewall_stack(deployment.stack), FIREWALL_REGION)["Arn"]
    else:
        deployment.chosen["SiteFirewallArn"] = ""


def firewall_stack(stack: str) -> str:
    """Return the name of the stack with the firewall for the page of `stack`."""
    return f"{stack}-firewall"


def make_firewall(stack: str, parameters: Mapping[str, str]) -> None:
    """Make or update the firewall for the page of `stack`."""
    limits = [f"{name}={parameters[name]}" for name in LIMITS_PER_ADDRESS]
    make_stack("infra/firewall.yaml", firewall_stack(stack), FIREWALL_REGION, "Scope=CLOUDFRONT", *limits)


def take_back_the_firewall(deployment: Deployment) -> None:
    """Leave the firewall for the page as it was before a deployment that came to nothing.

    It is made first, because the distribution names it. It costs by the month, and its limits hold at once.
    """
    if not deployment.chosen["SiteFirewallArn"]:
        return
    try:
        now = deployment.asked_again().status
        # The SAM CLI can end before the stack is done, as when credentials expire: its distribution needs the firewall.
        if now.endswith("_IN_PROGRESS") and now != NOT_CONFIRMED:
            return
        if deployment.present.get("SiteFirewallArn"):
            make_firewall(deployment.stack, DEFAULTS | deployment.present)
        else:
            delete_firewall(deployment.stack)
    except (BotoCoreError, ClientError, SystemExit) as error:
        # What ended the deployment is raised, not this. Before a SystemExit, the AWS CLI has said why.
        why = "" if isinstance(error, SystemExit) else f": {error}"
        print(  # noqa: T201 - for a person
            f"The firewall of CloudFront could not be put back as it was{why}\n"
            "It stays, with the limits of this deployment, and costs by the month. Run the same command again. Or "
            f"remove all of {deployment.stack}: make teardown ENV={deployment.environment} CONFIRM={deployment.stack}",
            file=sys.stderr,
        )


def delete_firewall(stack: str) -> None:
    """Delete the firewall for the page of `stack`, which no distribution may have any more."""
    boto3.client("cloudformation", region_name=FIREWALL_REGION).delete_stack(StackName=firewall_stack(stack))


def ask_for_email(deployment: Deployment, parameters: Mapping[str, str]) -> None:
    """Ask where alarms of production should be sent, if it is not known from before."""
    if deployment.environment != PRODUCTION or parameters["AlarmEmail"]:
        return
    address = input("Where should alarms be sent? An email address: ").strip() if sys.stdin.isatty() else ""
    if "@" not in address:
        raise SystemExit(
            "Production needs somebody who gets its alarms: "
            f'make deploy ENV={PRODUCTION} PARAMETERS="AlarmEmail=you@example.com". It is kept for later deployments.'
        )
    deployment.chosen["AlarmEmail"] = address


def functions(deployment: Deployment) -> list[str]:
    """Return the names of the functions in the present stack that have reservations."""
    if not deployment.description:
        return []
    bounded = {"GatewayFunction", "ProcessorFunction", "JobFunction", "MeasureFunction"}
    return [name for logical_id, _, name in resources(deployment.stack) if logical_id in bounded and name]


def make_stack(template: str, stack: str, region: str, *parameters: str) -> None:
    """Make or update a stack of its own from a plain template."""
    command = [str(TOOLS / "aws"), "cloudformation", "deploy", "--template-file", template, "--stack-name", stack]
    command += ["--region", region, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    run([*command, *(["--parameter-overrides", *parameters] if parameters else [])])


def deploy(deployment: Deployment, region: str) -> None:
    """Let SAM deploy what is built. Without a terminal, nobody is asked to confirm.

    Raises SystemExit if that fails, or if a person says no.
    """
    command = [str(TOOLS / "sam"), "deploy", "--config-env", deployment.environment, "--region", region]
    if not sys.stdin.isatty():
        command += ["--no-confirm-changeset"]
    # The SAM CLI takes an empty value between quotation marks only.
    run([*command, "--parameter-overrides", *(f'{name}="{value}"' for name, value in deployment.chosen.items())])
    if not is_deployed(deployment):
        raise SystemExit("The changes were not confirmed: nothing is deployed, and the page is not changed either.")


def is_deployed(deployment: Deployment) -> bool:
    """Return whether the stack has the release. If a person says no to the SAM CLI, it ends as if it had deployed."""
    now = deployment.asked_again()
    return now.status != NOT_CONFIRMED and now.present.get("Release") == deployment.chosen["Release"]


def run(command: list[str]) -> None:
    """Run a program. Raises SystemExit with its status if it fails; it has said why."""
    done = subprocess.run(command, cwd=REPOSITORY, check=False)  # noqa: S603 - ours, without a shell
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
