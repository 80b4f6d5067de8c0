"""The tests themselves, on a machine whose proxy, temporary folder and programs are not as usual."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support import executable

TESTS = Path(__file__).parent
# One of each kind that depends on it: a server over HTTP, a Unix socket, a shell that gets paths.
AFFECTED = [
    "test_docs.py::test_the_curl_example_prints_the_fields_that_the_document_shows",
    "cli/test_command.py::test_problems_have_a_row_each_and_sums_that_add_up",
    "cli/test_command.py::test_head_ends_the_command_without_a_word",
    "cli/test_faults.py::test_a_temporary_folder_without_space_is_one_line",
    "cli/test_faults.py::test_a_full_disk_is_one_line_and_leaves_whole_rows",
    "local/test_run.py::test_it_serves_at_a_unix_socket_also_if_an_earlier_run_has_left_one",
]


def test_neither_a_proxy_nor_a_long_temporary_folder_with_spaces_fails_a_test(tmp_path: Path) -> None:
    folder = tmp_path / ("a temporary folder of a hundred letters" + "x" * 61)
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    # Nothing listens on this port.
    environment |= {"TMPDIR": str(folder), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(str(TESTS / test) for test in AFFECTED)]
    result = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5000:]
    assert re.search(r"\d+ passed", result.stdout), result.stdout[-5000:]


def test_without_curl_its_examples_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "bash").symlink_to(executable("bash"))
    example = TESTS / "test_docs.py::test_the_curl_example_without_a_form_gives_the_same_number"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(example)]
    environment = {**os.environ, "PATH": str(tmp_path), "REQUIRE_ALL": ""}
    result = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5000:]
    assert "1 skipped: curl is missing (1)" in result.stdout, result.stdout[-5000:]
