"""The Lambda entry point: event to contract and back, nothing else."""

from __future__ import annotations

from typing import Any

from contract.invocation import Invocation, measured, refused
from contract.problems import ProblemError
from processor.measure import measure


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one invocation, a measurement or a problem; see `contract.invocation` for both shapes."""
    try:
        return measured(measure(Invocation.from_event(event)))
    except ProblemError as problem:
        return refused(problem)
