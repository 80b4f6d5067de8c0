"""A deployment by its name in samconfig.toml: the name of its stack, its parameters, and what the stack has."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from types_boto3_cloudformation.type_defs import StackTypeDef

REPOSITORY = Path(__file__).parents[2]
# What the commands have made or found, and so keep.
MADE = {"SecretVersions", "Zones"}


@dataclass(frozen=True)
class Deployment:
    """One of the deployments in samconfig.toml.

    environment: its name there, as in `make deploy ENV=prod`. configured: parameters that samconfig.toml names. given:
    those that the command names.
    """

    environment: str
    stack: str
    configured: dict[str, str]
    given: dict[str, str]

    @classmethod
    def read(cls, environment: str, given: Sequence[str] = ()) -> Deployment:
        """Return the deployment `environment` with the parameters `given`, each as Name=Value.

        Raises SystemExit with a sentence if there is no such deployment, or no such parameter.
        """
        settings = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
        deployments = {name: value for name, value in settings.items() if name != "version" and "deploy" in value}
        if environment not in deployments:
            raise SystemExit(
                f"There is no deployment {environment} in samconfig.toml. There are: {', '.join(deployments)}."
            )
        section = deployments[environment]["deploy"]["parameters"]
        configured, chosen = pairs(section["parameter_overrides"].split()), pairs(given)
        # The SAM CLI passes over a name that it does not know, so a wrong one would leave the service as it is.
        if unknown := sorted({*configured, *chosen} - defaults().keys()):
            raise SystemExit(
                f"There is no parameter {', '.join(unknown)} in template.yaml. docs/aws-parameters.md has all of them."
            )
        return cls(environment, section["stack_name"], configured, chosen)

    @cached_property
    def description(self) -> StackTypeDef | None:
        """What CloudFormation said of the stack when it was asked first; None if there was none."""
        return describe(self.stack)

    def names(self, *logical_ids: str) -> list[str]:
        """Return the names of those of these resources that are there.

        Of a stack whose first deployment nobody has confirmed, nothing is.
        """
        found = resources(self.stack) if self.description else ()
        return [name for each, _, name in found if each in logical_ids]

    def name_of(self, logical_id: str) -> str:
        """Return the name of a resource. Raises SystemExit with a sentence if it is not there."""
        for name in self.names(logical_id):
            return name
        raise self.absent

    @property
    def absent(self) -> SystemExit:
        """The sentence that the deployment is not there, to be raised."""
        return SystemExit(f"{self.stack} is not deployed here. To deploy it: make deploy ENV={self.environment}")

    @property
    def present(self) -> dict[str, str]:
        """The parameters that the stack has; none if there is no stack yet."""
        return parameters_of(self.description)

    @property
    def parameters(self) -> dict[str, str]:
        """All parameters of the next deployment.

        What a person has chosen before stays; all else follows the template and samconfig.toml of today.
        """
        before = {name for name in self.present.get("Chosen", "").split(",") if name}
        kept = {name: value for name, value in self.present.items() if name in before | MADE}
        chosen = ",".join(sorted(before | (self.given.keys() - MADE)))
        return {**defaults(), **kept, **self.configured, **self.given, "Chosen": chosen}


def defaults() -> dict[str, str]:
    """Return the parameters of template.yaml with their defaults."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda *_: None)
    template: dict[str, Any] = yaml.load((REPOSITORY / "template.yaml").read_text(), Loader)  # noqa: S506 - a safe one
    return {name: str(each["Default"]) for name, each in template["Parameters"].items()}


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return Name=Value texts as a dictionary. Raises SystemExit for any other text."""
    for text in texts:
        if "=" not in text:
            raise SystemExit(f"{text!r} is no parameter. Write Name=Value.")
    return dict(text.split("=", 1) for text in texts)


def describe(stack: str, region: str | None = None) -> StackTypeDef | None:
    """Return what CloudFormation says of a stack; None if there is none."""
    try:
        [found] = boto3.client("cloudformation", region_name=region).describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def parameters_of(description: StackTypeDef | None) -> dict[str, str]:
    """Return the parameters of a stack as CloudFormation has described it."""
    found = description.get("Parameters", []) if description else []
    return {each["ParameterKey"]: each["ParameterValue"] for each in found}


def outputs(stack: str, region: str | None = None) -> dict[str, str]:
    """Return the outputs of a stack; none if there is no stack."""
    description = describe(stack, region)
    found = description.get("Outputs", []) if description else []
    return {each["OutputKey"]: each["OutputValue"] for each in found}


def resources(stack: str) -> Iterator[tuple[str, str, str]]:
    """Yield the logical id, the type and the name of each resource of a stack, and of the stacks in it.

    A stack whose creation or deletion has failed still lists what is gone or was never made. That is left out.
    """
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    for each in (summary for page in pages for summary in page["StackResourceSummaries"]):
        name = each.get("PhysicalResourceId", "")
        if each["ResourceStatus"] == "DELETE_COMPLETE" or not name:
            continue
        if each["ResourceType"] == "AWS::CloudFormation::Stack":
            yield from resources(name)
        yield each["LogicalResourceId"], each["ResourceType"], name


def tell(sentence: str) -> None:
    """Tell a person what has happened."""
    print(sentence, file=sys.stderr)  # noqa: T201 - as it says
