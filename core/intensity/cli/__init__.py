# PYTHON_ARGCOMPLETE_OK
"""The command `intensity`: measures files, folders and buckets on all cores. `intensity manual` shows its manual."""

from __future__ import annotations

import os
import pydoc
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from intensity.cli import arguments, runs_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intensity.given import Given

USAGE_ERROR = 2
MANUAL = Path(__file__).parents[1] / "manual.txt"


def main(argv: Sequence[str] | None = None) -> int:
    _open_streams()
    commands = {"bulk": _bulk, "runs": _runs, "manual": _manual, "help": _help}
    given = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ and (line := os.environ.get("COMP_LINE", "").split())[1:2] in (["bulk"], ["runs"]):
        # argcomplete then begins with the command of the command.
        os.environ["_ARGCOMPLETE"], given = "2", line[1:]
    return commands[given[0]](given[1:]) if given and given[0] in commands else _folders(given)


def _open_streams() -> None:
    """Open the standard streams that are closed, so that no file of ours gets their numbers, nor in our processes.

    Input cannot be read and output cannot be written then; messages are lost.
    """
    for stream, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(stream)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # noqa: FBT003 - by position only
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end


def _folders(argv: Sequence[str]) -> int:
    given = arguments.folders(argv)
    if not _installed({"cli": "tqdm"}, given):
        return USAGE_ERROR
    # What --help does not need.
    from intensity import inputs  # noqa: PLC0415
    from intensity.run import run  # noqa: PLC0415
    from intensity.sources.files import Files  # noqa: PLC0415

    files = Files()
    return run(given, "file", partial(inputs.files, given, files), files)


def _bulk(argv: Sequence[str]) -> int:
    given = arguments.buckets(argv)
    if not _installed({"cli": "tqdm", "s3": "botocore"}, given):
        return USAGE_ERROR
    # As above.
    from intensity import inputs  # noqa: PLC0415
    from intensity.run import run  # noqa: PLC0415
    from intensity.sources.fetch import Store  # noqa: PLC0415

    store = Store(endpoint_url=given.endpoint_url, profile=given.profile, anonymous=given.anonymous)
    return run(given, "object", partial(inputs.objects, given, store), store)


def _runs(argv: Sequence[str]) -> int:
    given = runs_arguments.parse(argv)
    if not _installed({"cli": "tqdm", "s3": "botocore"}):
        return USAGE_ERROR
    # As above.
    from intensity.runs import command  # noqa: PLC0415

    return command.run(given)


def _manual(_: Sequence[str]) -> int:
    pydoc.pager(MANUAL.read_text(encoding="utf-8"))
    return 0


def _help(argv: Sequence[str]) -> int:
    return main([*argv, "--help"])


def _installed(needed: dict[str, str], given: Given | None = None) -> bool:
    """Return whether the module of each extra is there; say how to install the others otherwise."""
    needed = {**needed, **({"parquet": "duckdb"} if given and given.parquet else {})}
    missing = {extra: module for extra, module in needed.items() if not find_spec(module)}
    if missing:
        extras, modules = " and ".join(f"'{extra}'" for extra in missing), " ".join(missing.values())
        sys.stderr.write(f"intensity: this needs the extra {extras}: {_installing(modules, ','.join(needed))}\n")
    return not missing


def _installing(modules: str, extras: str) -> str:
    """Return the command that installs packages where this one is."""
    environment = Path(sys.prefix)
    if environment.parent.name == "venvs":
        return f"pipx inject {environment.name} {modules}"
    if environment.parent.name == "tools":
        return f'uv tool install --force "./core[{extras}]", in a clone of the project'
    return f"{sys.executable} -m pip install {modules}"
