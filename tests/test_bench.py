"""The benchmarks still run. Their figures are not compared here, because machines are noisy."""

from __future__ import annotations

import os
import subprocess
import sys


def test_the_benchmark_of_whole_requests_prints_a_row_for_the_size() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.request", "100000"],
        env=os.environ | {"ROUNDS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # It stops by itself if a hit is not a hit, or a miss not a miss.
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split(" | ") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows[2:]] == ["| 100"]
