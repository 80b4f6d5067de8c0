"""The templates, and template.yaml as CloudFormation gets it: put through the SAM CLI's translator."""

from __future__ import annotations

import subprocess
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

import yaml

from tests.support import missing

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-sam/bin/python"
# The translator's own packages are in another virtual environment. What it needs of AWS's policies, it needs for
# `Policies` of a function, which the template does not use.
PROGRAM = """
import json, sys
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse

given = json.load(sys.stdin)
validator = SamTemplateValidator(
    yaml_parse(given["template"]), None, region="eu-central-1", parameter_overrides=given["parameters"]
)
validator._get_managed_policy_map = dict
print(json.dumps(yaml_parse(validator.get_translated_template_if_valid())))
"""


class Functions(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as its long ones."""


def long_form(loader: Functions, tag: str, node: yaml.Node) -> dict[str, object]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


Functions.add_multi_constructor("!", long_form)


@cache
def section(template: str, name: str = "Resources") -> dict[str, dict[str, Any]]:
    """A section of a template, as it is written."""
    content = yaml.load((REPOSITORY / template).read_text(), Functions)  # noqa: S506 - a safe one
    found: dict[str, dict[str, Any]] = content[name]
    return found


PARAMETERS = section("template.yaml", "Parameters")


def translate(template: str, parameters: dict[str, str]) -> dict[str, Any]:
    """The plain CloudFormation template that SAM makes of `template`. Skips where the SAM CLI is missing."""
    if not PYTHON.exists():
        missing("the SAM CLI (make check installs it)")
    given = dumps({"template": template, "parameters": parameters})
    # A bare environment: nothing here may ask AWS.
    nowhere = {"HOME": "/nonexistent"}
    command = [str(PYTHON), "-c", PROGRAM]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=nowhere)
    assert done.returncode == 0, done.stderr
    translated: dict[str, Any] = loads(done.stdout)
    return translated


@cache
def deployed(**parameters: str) -> dict[str, dict[str, Any]]:
    """The resources of template.yaml with these parameters, by their logical ids."""
    template = (REPOSITORY / "template.yaml").read_text()
    resources: dict[str, dict[str, Any]] = translate(template, parameters)["Resources"]
    return resources


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The resources of one type, by their logical ids."""
    return {name: resource for name, resource in resources.items() if resource.get("Type") == kind}
