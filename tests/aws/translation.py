"""template.yaml as CloudFormation gets it: put through the SAM translator, which the SAM CLI brings."""

from __future__ import annotations

import subprocess
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

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


def translate(template: str, parameters: dict[str, str]) -> dict[str, Any]:
    """The plain CloudFormation template that SAM makes of `template`. Skips where the SAM CLI is missing."""
    if not PYTHON.exists():
        missing("the SAM CLI (make check installs it)")
    given = dumps({"template": template, "parameters": parameters})
    # A bare environment: nothing here may ask AWS.
    done = subprocess.run(
        [str(PYTHON), "-c", PROGRAM],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    translated: dict[str, Any] = loads(done.stdout)
    return translated


@cache
def deployed(**parameters: str) -> dict[str, dict[str, Any]]:
    """The resources of template.yaml with these parameters, by their logical ids."""
    resources: dict[str, dict[str, Any]] = translate((REPOSITORY / "template.yaml").read_text(), parameters)[
        "Resources"
    ]
    return resources


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The resources of one type, by their logical ids."""
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}
