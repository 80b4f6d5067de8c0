"""A parser whose errors are one line, and whose options a shell can complete."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from image_intensity import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 100


class Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as argparse has them
        width = min(shutil.get_terminal_size().columns, WIDTH)
        formatter = partial(argparse.RawDescriptionHelpFormatter, max_help_position=26, width=width)
        super().__init__(**{"formatter_class": formatter, "allow_abbrev": False, **settings})
        if self.add_help:
            self.add_argument("--version", action="version", version=f"intensity {__version__}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"intensity: {message}{self._meant(message)}; see {self.prog} --help\n")

    def _meant(self, message: str) -> str:
        """Return the option that may have been meant."""
        unknown = re.match("unrecognized arguments: (-[^ =]*)", message)
        known = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", self.format_help())
        close = get_close_matches(unknown[1], known, 1, 0.75) if unknown else []
        return f" (is it {close[0]}?)" if close else ""

    def complete(self, commands: Sequence[str] = ()) -> None:
        """Answer a shell that asks how a line could go on, and end. commands: what the first name could be."""
        if "_ARGCOMPLETE" not in os.environ:
            return
        with suppress(ImportError):
            from argcomplete import autocomplete  # noqa: PLC0415 - an extra
            from argcomplete.completers import FilesCompleter  # noqa: PLC0415 - likewise

            class Names(FilesCompleter):
                def __call__(self, prefix: str, **settings: Any) -> list[str]:  # noqa: ANN401 - as argcomplete has it
                    files = super().__call__(prefix, **settings)
                    return [*files, *(each for each in commands if each.startswith(prefix))]

            autocomplete(self, default_completer=Names())
