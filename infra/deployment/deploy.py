"""`make deploy`: look at the account, then let SAM deploy what is built, and put the page there.

Usage: PYTHONPATH=infra python -m deployment.deploy ENV [Name=Value ...]
ENV: a deployment in samconfig.toml. Name=Value: a parameter of template.yaml.
"""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deployment.account import (
    BOUNDS,
    check_concurrency,
    has_log_role,
    tell_of_the_first_distribution,
    zones_for_the_cache,
)
from deployment.neighbours import (
    BUILD,
    EAST,
    LOG_ROLE_STACK,
    TOOLS,
    Neighbours,
    chosen_region,
    delete,
    delete_failed,
    make_stack,
    run,
)
from deployment.publish_page import publish
from deployment.release import keep_two, release
from deployment.stack import REPOSITORY, Deployment, describe, outputs, parameters_of, tell

PRODUCTION = "prod"
# So CloudFormation names a stack whose first deployment nobody has confirmed.
NOT_CONFIRMED = "REVIEW_IN_PROGRESS"
# The version of a secret that the template has made.
FIRST = "first"


def main(environment: str, *given: str) -> None:
    """Deploy. Raises SystemExit with a sentence for a person if that cannot work."""
    deployment = Deployment.read(environment, given)
    neighbours = Neighbours(deployment.stack, chosen_region())
    delete_failed(deployment.stack, neighbours.region)
    chosen = deployment.parameters
    prepare(deployment, chosen, neighbours)
    chosen["Release"] = release(BUILD, chosen)
    try:
        deploy(deployment, chosen, neighbours)
    except SystemExit:
        take_back_the_firewall(deployment, chosen, neighbours)
        raise
    if deployment.present.get("SiteFirewallArn") and not chosen["SiteFirewallArn"]:
        # It is not in the stack, so CloudFormation leaves it, and it costs by the month.
        delete(neighbours.firewall, EAST)
    keep_two(deployment)
    if chosen["Monitoring"] == "on" and chosen["AlarmEmail"]:
        neighbours.make_watch(chosen, outputs(deployment.stack))
    else:
        delete(neighbours.watch, EAST)
    if environment == PRODUCTION:
        cloudformation = boto3.client("cloudformation")
        cloudformation.update_termination_protection(StackName=deployment.stack, EnableTerminationProtection=True)
    print(publish(deployment.stack))  # noqa: T201 - the address is for a person


def prepare(deployment: Deployment, chosen: dict[str, str], neighbours: Neighbours) -> None:
    """Check what can be known before, make what is outside of the stack, and choose the rest."""
    environment = deployment.environment
    if environment == PRODUCTION and not chosen["AlarmEmail"]:
        raise SystemExit(
            "Production needs somebody who gets its alarms: "
            f'make deploy ENV={PRODUCTION} PARAMETERS="AlarmEmail=you@example.com". It is kept for later deployments.'
        )
    with_page = chosen["Site"] == "on"
    if with_page and chosen["Firewall"] == "off":
        raise SystemExit(
            "Without a firewall, CloudFront has no bound: a stranger can cost 900 USD a day for each Gbit/s. Deploy "
            f'with Firewall=on, or without a page: make deploy ENV={environment} PARAMETERS="Site=off"'
        )
    if not with_page:
        # The secret of CloudFront goes with the page, and a later one begins anew.
        chosen["SecretVersions"] = f"{chosen['SecretVersions'].partition(',')[0]},{FIRST}"
    bounds = (*BOUNDS, "RunsConcurrency") if chosen["Runs"] == "on" else BOUNDS
    reserved = deployment.names("GatewayFunction", "ProcessorFunction", "JobFunction", "MeasureFunction")
    check_concurrency(boto3.client("lambda"), environment, {name: int(chosen[name]) for name in bounds}, reserved)
    if with_page and not deployment.description:
        tell_of_the_first_distribution(boto3.client("cloudfront"), environment)
    if chosen["Cache"] == "on" and not chosen["Zones"]:
        chosen["Zones"] = ",".join(zones_for_the_cache(boto3.client("ec2"), environment, neighbours.region))
    if chosen["Monitoring"] == "on" and not has_log_role(boto3.client("apigateway")):
        template, boundary = REPOSITORY / "infra/account.yaml", chosen["PermissionsBoundary"]
        make_stack(template, LOG_ROLE_STACK, neighbours.region, PermissionsBoundary=boundary)
    chosen["SiteFirewallArn"] = neighbours.make_firewall(chosen) if with_page else ""


def deploy(deployment: Deployment, chosen: dict[str, str], neighbours: Neighbours) -> None:
    """Let SAM deploy what is built. Without a terminal, nobody is asked to confirm.

    Raises SystemExit if that fails, or if a person says no.
    """
    registry = neighbours.make_registry()
    command = [str(TOOLS / "sam"), "deploy", "--config-env", deployment.environment, "--region", neighbours.region]
    command += ["--image-repository", registry]
    if not sys.stdin.isatty():
        command += ["--no-confirm-changeset"]
    # All of them: of what is left out, CloudFormation keeps the value, and a new default would reach no stack. The SAM
    # CLI takes an empty value between quotation marks only.
    run([*command, "--parameter-overrides", *(f'{name}="{value}"' for name, value in chosen.items())])
    if not is_deployed(deployment.stack, chosen["Release"]):
        raise SystemExit("The changes were not confirmed: nothing is deployed, and the page is not changed either.")


def is_deployed(stack: str, wanted: str) -> bool:
    """Return whether the stack has the release. If a person says no to the SAM CLI, it ends as if it had deployed."""
    now = describe(stack)
    return now is not None and now["StackStatus"] != NOT_CONFIRMED and parameters_of(now).get("Release") == wanted


def take_back_the_firewall(deployment: Deployment, chosen: dict[str, str], neighbours: Neighbours) -> None:
    """Leave the firewall for the page as it was before a deployment that came to nothing.

    It is made first, because the distribution names it. It costs by the month, and its limits hold at once.
    """
    if not chosen["SiteFirewallArn"]:
        return
    try:
        now = describe(deployment.stack)
        # The SAM CLI can end before the stack is done, as when credentials expire: its distribution needs the firewall.
        if now and now["StackStatus"].endswith("_IN_PROGRESS") and now["StackStatus"] != NOT_CONFIRMED:
            return
        if deployment.present.get("SiteFirewallArn"):
            neighbours.make_firewall(chosen | deployment.present)
        else:
            delete(neighbours.firewall, EAST)
    except (BotoCoreError, ClientError, SystemExit) as error:
        # What ended the deployment is raised, not this. Before a SystemExit, the AWS CLI has said why.
        why = "" if isinstance(error, SystemExit) else f": {error}"
        tell(
            f"The firewall of CloudFront could not be put back as it was{why}\n"
            "It stays, with the limits of this deployment, and costs by the month. Run the same command again. Or "
            f"remove all of {deployment.stack}: make teardown ENV={deployment.environment} CONFIRM={deployment.stack}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
