"""The Lambda entry point: event to contract and back, nothing else."""

from __future__ import annotations

from functools import partial
from typing import Any

from pybase64 import b64decode

from contract.invocation import Invocation, measured, refused
from contract.problems import ProblemError
from processor.measure import measure

# A thirtieth of the standard library's time, which is a fifth of decoding where the file is large.
decode = partial(b64decode, validate=True)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one invocation, a measurement or a problem; see `contract.invocation` for both shapes."""
    try:
        return measured(measure(Invocation.from_event(event, decode)))
    except ProblemError as problem:
        return refused(problem)
